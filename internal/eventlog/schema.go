package eventlog

import (
	"bytes"
	"context"
	"fmt"

	"gocloud.dev/blob"
)

// schemaLines are two lines that make DuckDB guess the right type for every column, whatever users
// put into their payloads: an object and a string in one column make it JSON, a string that is
// neither a date nor a UUID makes it VARCHAR. DuckDB looks at the first 32 files in path order, so
// they stand in an object that sorts before every other key, and again in front of each log for
// queries on one exchange's folder. They are frozen byte by byte: a change is a change of format.
const schemaLines = `{"event_id":"-schema","seq":0,"ts":"1970-01-01T00:00:00.000Z","exchange_id":"-schema","thread_ref":"-","event_type":"-schema","actor_id":"-schema","payload":{}}
{"event_id":"-schema","seq":0,"ts":"1970-01-01T00:00:00.000Z","exchange_id":"-schema","thread_ref":"-","event_type":"-schema","actor_id":"-schema","payload":"{}"}
`

// SchemaKey is the key of the schema object. No exchange id may begin with a character that sorts
// before "-".
const SchemaKey = eventsRoot + "exchange=" + schemaPartition + "/1970/01/01/00000000-0000-0000-0000-000000000000.jsonl"

// IsSchemaPartition tells the schema object's folder name under events/, with or without its
// closing "/", from an exchange's. It is the only one that readers of the log skip.
func IsSchemaPartition(name string) bool {
	return name == "exchange="+schemaPartition || name == "exchange="+schemaPartition+"/"
}

// WriteSchema makes sure that the schema object stands in the store. It must have returned nil before
// the first event is committed; calling it at every start is right.
func WriteSchema(ctx context.Context, store Store) error {
	err := store.Bucket().WriteAll(ctx, SchemaKey, []byte(schemaLines), createOnly())
	if err != nil && !store.Exists(err) {
		return fmt.Errorf("write the schema object: %w", err)
	}
	if err := verifySchema(ctx, store); err != nil {
		return err
	}
	return store.Settle(ctx, SchemaKey)
}

func verifySchema(ctx context.Context, store Store) error {
	got, err := store.Bucket().ReadAll(ctx, SchemaKey)
	if err != nil {
		return fmt.Errorf("read the schema object: %w", err)
	}
	if !bytes.Equal(got, []byte(schemaLines)) {
		return fmt.Errorf("the schema object %s was changed by someone else; delete it and start again", SchemaKey)
	}
	return nil
}

// createOnly are the options of every write under events/: create the object or fail, never to be
// answered from a cache.
func createOnly() *blob.WriterOptions {
	return &blob.WriterOptions{
		IfNotExist:                  true,
		ContentType:                 "application/x-ndjson",
		CacheControl:                "no-store",
		DisableContentTypeDetection: true,
	}
}
