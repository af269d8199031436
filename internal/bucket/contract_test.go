package bucket_test

import (
	"github.com/mess-exchange/mess-exchange/internal/bucket"
	"github.com/mess-exchange/mess-exchange/internal/engine"
)

// A Store is what the engine, and below it the log, is written against.
var _ engine.Store = (*bucket.Store)(nil)
