//go:build js

package r2blob

import (
	"cmp"
	"context"
	"slices"

	"gocloud.dev/blob/driver"
)

// mostListed is how many keys R2 lists at once.
const mostListed = 1000

// afterKey is what a BeforeList can have of a listing: the key it begins behind.
type afterKey string

// After returns a BeforeList that makes a listing begin behind a key. R2 heeds it on the first page, and goes on
// from there.
func After(key string) func(as func(any) bool) error {
	return func(as func(any) bool) error {
		var after *afterKey
		if as(&after) {
			*after = afterKey(key)
		}
		return nil
	}
}

// ListPaged implements driver.Bucket. Keys and folders come from R2 as two lists, each in order.
func (b *Bucket) ListPaged(ctx context.Context, o *driver.ListOptions) (*driver.ListPage, error) {
	after := afterKey("")
	if o.BeforeList != nil {
		err := o.BeforeList(func(i any) bool {
			p, ok := i.(**afterKey)
			if ok {
				*p = &after
			}
			return ok
		})
		if err != nil {
			return nil, err
		}
	}
	options := map[string]any{"limit": min(cmp.Or(o.PageSize, mostListed), mostListed)}
	for name, value := range map[string]string{"prefix": o.Prefix, "delimiter": o.Delimiter, "cursor": string(o.PageToken), "startAfter": string(after)} {
		if value != "" && (name != "startAfter" || len(o.PageToken) == 0) {
			options[name] = value
		}
	}
	for {
		page, err := b.page(ctx, options)
		if err != nil || len(page.Objects) > 0 || len(page.NextPageToken) == 0 {
			return page, err
		}
		options["cursor"] = string(page.NextPageToken) // a page may be empty and not be the last
	}
}

func (b *Bucket) page(ctx context.Context, options map[string]any) (*driver.ListPage, error) {
	prefix, _ := options["prefix"].(string)
	found, err := b.call(ctx, "list", prefix, options)
	if err != nil {
		return nil, err
	}
	page := &driver.ListPage{}
	objects, folders := found.Get("objects"), found.Get("delimitedPrefixes")
	for n := range objects.Length() {
		i := infoOf(objects.Index(n))
		page.Objects = append(page.Objects, &driver.ListObject{Key: i.key, ModTime: i.uploaded, Size: i.size})
	}
	for n := range folders.Length() {
		page.Objects = append(page.Objects, &driver.ListObject{Key: folders.Index(n).String(), IsDir: true})
	}
	slices.SortFunc(page.Objects, func(a, b *driver.ListObject) int { return cmp.Compare(a.Key, b.Key) })
	if found.Get("truncated").Bool() {
		page.NextPageToken = []byte(found.Get("cursor").String())
	}
	return page, nil
}
