package httpapi

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-chi/chi/v5"
	"golang.org/x/sync/semaphore"

	"github.com/mess-exchange/mess-exchange/api"
	"github.com/mess-exchange/mess-exchange/gen/server"
	"github.com/mess-exchange/mess-exchange/internal/auth"
	"github.com/mess-exchange/mess-exchange/internal/capabilities"
	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
	"github.com/mess-exchange/mess-exchange/internal/messeaf"
)

// Exchange is what the handlers need of *engine.Engine, whose comments say what each method does.
// Errors other than *exchange.Error are answered as internal ones.
type Exchange interface {
	Authenticate(ctx context.Context, exchangeID, key string) (engine.Caller, error)
	Register(ctx context.Context, exchangeID string, r engine.Registration) (apiKey string, err error)
	Create(ctx context.Context, c engine.Caller, cmd *exchange.Create) error
	Update(ctx context.Context, c engine.Caller, cmd *exchange.Update) error
	ThreadUnless(ctx context.Context, c engine.Caller, ref string, known func(*exchange.Thread) bool) (*engine.Thread, error)
	Attachment(ctx context.Context, c engine.Caller, ref, name string) (*engine.Attachment, error)
	Upload(ctx context.Context, c engine.Caller, ref, name, mediaType string, content io.Reader) (exchange.Attachment, error)
	ListUnless(ctx context.Context, c engine.Caller, f exchange.Filter, known func(engine.ListVersion) bool) (engine.List, error)
	Import(ctx context.Context, c engine.Caller, threads []*messeaf.Thread) ([]exchange.ThreadState, error)
	Export(ctx context.Context, c engine.Caller, ref string) (*messeaf.Thread, error)
	AwaitThread(ctx context.Context, c engine.Caller, ref string, since int64, d time.Duration) error
	Events(ctx context.Context, c engine.Caller, f engine.EventFilter, after int64, limit int) (*engine.EventPage, error)
	Follow(ctx context.Context, c engine.Caller, f engine.EventFilter, after int64, deliver func(engine.EventBatch) error) error
	Executors(ctx context.Context, c engine.Caller) ([]engine.Executor, error)
	Profile(ctx context.Context, c engine.Caller, executorID string) (*engine.Profile, error)
	UpdateProfile(ctx context.Context, c engine.Caller, executorID string, u engine.ProfileUpdate) error
	RotateKey(ctx context.Context, c engine.Caller, executorID string) (apiKey string, err error)
	Remove(ctx context.Context, c engine.Caller, executorID string) error
	TestNotifications(ctx context.Context, c engine.Caller, executorID string) ([]engine.TestResult, error)
	Deliveries(ctx context.Context, c engine.Caller, executorID string, before int64, limit int) (engine.DeliveryPage, error)
	ReadLink(ctx context.Context, token string) (*engine.LinkedThread, error)
	ClaimByLink(ctx context.Context, token string) (*engine.LinkedThread, error)
	Recognizes(apiKey string) bool
	Prove(ctx context.Context, c engine.Caller) error
	Ready(ctx context.Context) error
}

var _ Exchange = (*engine.Engine)(nil)

// Catalogue is what the handlers need of *capabilities.Catalogue.
type Catalogue interface {
	List(tag string) []capabilities.Capability
}

var _ Catalogue = (*capabilities.Catalogue)(nil)

// Access is who may register, and how it is known where someone is.
type Access struct {
	RegistrationToken auth.Secret    // the zero Secret: whoever likes may register
	TrustedProxies    []netip.Prefix // whose X-Forwarded-For is believed
}

// Options of the handler.
type Options struct {
	Logger       *slog.Logger // nil discards
	Version      string       // of the program, for /health
	Storage      string       // the STORAGE_TYPE, for /health
	Access       Access
	Capabilities Catalogue // nil is an empty one

	AttachmentMax int64 // how many bytes an upload may have; 0 is DefaultAttachmentMax

	Observe Observe      // nil tells nobody
	Metrics http.Handler // answers GET /metrics; nil: there is nothing at this path
}

// handlers implements the contract's operations.
type handlers struct {
	exchange Exchange
	options  Options
	lists    lists
	imports  *semaphore.Weighted // imports that are being read
	tests    attempts[executorName]
}

var _ server.StrictServerInterface = (*handlers)(nil)

// contract is the parsed contract. It is read only.
var contract = sync.OnceValues(func() (*openapi3.T, error) {
	return openapi3.NewLoader().LoadFromData(api.OpenAPI)
})

// New returns the handler of everything the server answers over HTTP. It panics if the embedded
// contract is broken, which tests prove it is not.
func New(e Exchange, o Options) http.Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.AttachmentMax = cmp.Or(o.AttachmentMax, DefaultAttachmentMax)
	doc, err := contract()
	if err != nil {
		panic("httpapi: the embedded contract: " + err.Error())
	}
	root := chi.NewRouter()
	gate := newGate(doc, e, o.Access, root)
	if o.Observe == nil {
		o.Observe = unobserved
	}
	gate.tell(o.Observe)
	unmatched := &operation{id: Unmatched, answered: o.Observe(Unmatched)}
	root.NotFound(gate.notFound)
	root.MethodNotAllowed(gate.methodNotAllowed)
	mountDocs(root)
	if o.Metrics != nil {
		root.Method(http.MethodGet, "/metrics", o.Metrics)
	}
	mountClaimLinks(root, e, o.Access)
	h := &handlers{exchange: e, options: o, imports: semaphore.NewWeighted(mostImports), tests: attempts[executorName]{most: mostTests}}
	strict := server.NewStrictHandlerWithOptions(h, nil, server.StrictHTTPServerOptions{
		RequestErrorHandlerFunc:  refuseUnbound,
		ResponseErrorHandlerFunc: refuse,
	})
	server.HandlerWithOptions(strict, server.ChiServerOptions{
		BaseRouter:       root.With(gate.validate),
		ErrorHandlerFunc: refuseUnbound,
	})
	return frame(root, o.Logger, unmatched)
}
