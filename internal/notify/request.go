package notify

// Request is an HTTP request that is ready to be sent. Two of equal content are equal byte by byte.
type Request struct {
	Method string
	URL    string
	Header map[string]string // by the name as it is sent; every name once
	Body   []byte

	// Operated says that the operator chose where the URL leads, not an executor: it may lead anywhere.
	Operated bool
}

// UserAgent is how the server calls itself to those it notifies.
const UserAgent = "mess-exchange"

// Post is a POST of a JSON document.
func Post(url string, document any) Request {
	return Request{
		Method: "POST",
		URL:    url,
		Header: map[string]string{"Content-Type": "application/json", "User-Agent": UserAgent},
		Body:   JSON(document),
	}
}
