package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// What the router does not know: a path, or a method of a path. Under an exchange's path only those
// with a key of it are told which of the two.

const exchangesPath = "/api/v1/exchanges/"

func (g *gate) notFound(w http.ResponseWriter, r *http.Request) {
	if err := g.admitBelow(r); err != nil {
		refuse(w, r, err)
		return
	}
	refuse(w, r, &exchange.Error{Code: exchange.CodeNotFound, Message: "There is nothing at this path"})
}

func (g *gate) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	allowed, open := g.allowed(r)
	if len(allowed) == 0 { // a method that chi has never heard of, at a path that nobody has
		g.notFound(w, r)
		return
	}
	if !open {
		if err := g.admitBelow(r); err != nil {
			refuse(w, r, err)
			return
		}
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	refuse(w, r, &exchange.Error{
		Code:    exchange.CodeMethodNotAllowed,
		Message: "This path does not take " + clip(r.Method, 32) + ", only " + strings.Join(allowed, ", "),
	})
}

// admitBelow asks for a key where the path lies under that of an exchange.
func (g *gate) admitBelow(r *http.Request) error {
	rest, below := strings.CutPrefix(chi.RouteContext(r.Context()).RoutePath, exchangesPath)
	if !below {
		return nil
	}
	id, _, _ := strings.Cut(rest, "/")
	if r.URL.RawPath != "" {
		if decoded, err := url.PathUnescape(id); err == nil {
			id = decoded
		}
	}
	return g.authenticate(r, id)
}

// allowed returns the methods that the request's path takes, and whether one of them needs no key.
func (g *gate) allowed(r *http.Request) (methods []string, open bool) {
	path := chi.RouteContext(r.Context()).RoutePath
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete} {
		pattern := g.router.Find(chi.NewRouteContext(), method, path)
		if pattern == "" {
			continue
		}
		methods = append(methods, method)
		if op := g.operations[pattern][method]; op != nil && !op.secured {
			open = true
		}
	}
	if slices.Contains(methods, http.MethodGet) {
		methods = append(methods, http.MethodHead)
	}
	if len(methods) > 0 {
		methods = append(methods, http.MethodOptions)
	}
	return methods, open
}
