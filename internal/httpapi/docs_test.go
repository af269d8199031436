package httpapi

import (
	"bytes"
	"compress/gzip"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/mess-exchange/mess-exchange/api"
)

// Ensure the contract is served as it stands, without a key.
func TestContractIsServed(t *testing.T) {
	c := client{site: siteOf(t, willing{})}
	yaml, json := c.want(200, "GET", "/openapi.yaml", ""), c.want(200, "GET", "/openapi.json", "")
	if !bytes.Equal(yaml.body, api.OpenAPI) || yaml.header.Get("Content-Type") != "application/yaml" {
		t.Errorf("openapi.yaml: got %s, %d bytes", yaml.header.Get("Content-Type"), len(yaml.body))
	}
	if !bytes.Equal(json.body, api.JSON()) || json.header.Get("Content-Type") != "application/json" {
		t.Errorf("openapi.json: got %s, %d bytes", json.header.Get("Content-Type"), len(json.body))
	}
	if again := c.want(304, "GET", "/openapi.json", "", "If-None-Match", json.header.Get("ETag")); len(again.body) != 0 {
		t.Errorf("unchanged: got %d bytes", len(again.body))
	}
}

// Ensure the page loads only files of this server that are there, runs no script that stands in it,
// and may not load anything else.
func TestDocsPage(t *testing.T) {
	c := client{site: siteOf(t, willing{})}
	if got := c.want(302, "GET", "/", ""); got.header.Get("Location") != "/docs" {
		t.Errorf("/ leads to %q", got.header.Get("Location"))
	}
	page := c.want(200, "GET", "/docs", "")
	policy := page.header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'self'") || strings.Contains(policy, "script-src") || strings.Contains(policy, "unsafe-eval") {
		t.Errorf("policy: %s", policy)
	}
	if script := regexp.MustCompile(`<script[^>]*>[^<]|<style|\son\w+=|style=`).Find(page.body); script != nil {
		t.Errorf("the page holds %q", script)
	}
	links := regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllSubmatch(page.body, -1)
	if len(links) < 5 {
		t.Errorf("the page has %d links", len(links))
	}
	for _, link := range links {
		got := c.want(200, "GET", string(link[1]), "")
		if len(got.body) == 0 || got.header.Get("Content-Type") == "" || got.header.Get("ETag") == "" {
			t.Errorf("%s: got %d bytes, %v", link[1], len(got.body), got.header)
		}
	}
}

// Ensure the large files travel compressed to those who say they can, and mean the same to others.
func TestDocsCompressed(t *testing.T) {
	c := client{site: siteOf(t, willing{})}
	for _, path := range []string{"/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"} {
		plain := c.want(200, "GET", path, "")
		for header, zipped := range map[string]bool{"gzip": true, "br, gzip;q=0.5": true, "br": false, "gzip;q=0": false, "gzip; q=0.000": false} {
			got := c.want(200, "GET", path, "", "Accept-Encoding", header)
			if (got.header.Get("Content-Encoding") == "gzip") != zipped || got.header.Get("Vary") != "Accept-Encoding" {
				t.Errorf("%s for %q: got %v", path, header, got.header)
			}
			text := got.body
			if zipped {
				in, err := gzip.NewReader(bytes.NewReader(text))
				if err != nil {
					t.Fatal(err)
				}
				if text, err = io.ReadAll(in); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(text, plain.body) || len(plain.body) < 100_000 {
				t.Errorf("%s for %q: %d bytes differ from the %d without", path, header, len(text), len(plain.body))
			}
			if (got.header.Get("ETag") == plain.header.Get("ETag")) == zipped {
				t.Errorf("%s for %q: ETag %s", path, header, got.header.Get("ETag"))
			}
		}
	}
}
