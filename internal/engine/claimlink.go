package engine

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

const (
	// claimPath is where claim links lead, below PUBLIC_URL.
	claimPath = "/a/"
	// claimTime is how long a link works. Attempts to deliver one go on for three days, and a request that nobody
	// has taken in a week is read again before it is claimed.
	claimTime = 7 * 24 * time.Hour
	// maxClaimToken bounds what is looked at of a token. Ids have at most 64 characters, and refs 17, but in data of
	// the original server.
	maxClaimToken = 1024
	claimVersion  = 1
	// maxLinkSecrets is how many secrets are kept in memory, at some 200 bytes each.
	maxLinkSecrets = 10_000
)

// linkSecretName is the member of a profile object that signs the claim links of its executor. Only the server
// sets it, and nobody is shown it (identity).
const linkSecretName = "link_secret"

// linkSecretBytes is as much as the sum that is made with it has.
const linkSecretBytes = sha256.Size

// claimLink is what the token of a claim link says: that whoever shows it may claim the request in the name of the
// executor, until it expires. It holds no key, opens nothing else, and says nothing that the executor does not know.
type claimLink struct {
	Exchange, Executor, Ref string
	Expires                 time.Time // to the second
}

// text is what is signed, and the beginning of the token. Each part has its length before it, so that none can run
// into the next.
func (l claimLink) text() []byte {
	text := []byte{claimVersion}
	for _, part := range []string{l.Exchange, l.Executor, l.Ref} {
		text = append(binary.AppendUvarint(text, uint64(len(part))), part...)
	}
	return binary.AppendVarint(text, l.Expires.Unix())
}

// token signs the link with the executor's secret.
func (l claimLink) token(secret []byte, keyHash string) string {
	text := l.text()
	return base64.RawURLEncoding.EncodeToString(append(text, claimSum(secret, keyHash, text)...))
}

// claimSum covers the hash of the executor's API key, too: who replaces a key that was found takes the links from
// whoever found them with it.
func claimSum(secret []byte, keyHash string, text []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("claim link\n" + keyHash + "\n"))
	mac.Write(text)
	return mac.Sum(nil)
}

// readClaimLink takes a token apart. Whether it is signed is still to be seen.
func readClaimLink(token string) (l claimLink, text, sum []byte, ok bool) {
	if len(token) > maxClaimToken {
		return claimLink{}, nil, nil, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) <= sha256.Size || b[0] != claimVersion {
		return claimLink{}, nil, nil, false
	}
	text, sum = b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	rest := text[1:]
	for _, part := range []*string{&l.Exchange, &l.Executor, &l.Ref} {
		length, n := binary.Uvarint(rest)
		if n <= 0 || length > uint64(len(rest)-n) {
			return claimLink{}, nil, nil, false
		}
		rest = rest[n:]
		*part, rest = string(rest[:length]), rest[length:]
	}
	seconds, n := binary.Varint(rest)
	if n != len(rest) || n <= 0 {
		return claimLink{}, nil, nil, false
	}
	l.Expires = time.Unix(seconds, 0)
	return l, text, sum, true
}

// claimURL returns the address where the executor claims a request, for the notification of an event of that time;
// "" where the server has no public address. It is the same at every replica and for every attempt.
//
// Cost: nothing but two sums where the executor's secret is known; otherwise its profile object is read, and once in
// its life written.
func (x *running) claimURL(ctx context.Context, executor *exchange.Executor, ref string, at time.Time) (string, error) {
	public := x.engine.notify.PublicURL
	if public == "" {
		return "", nil
	}
	secret, err := x.linkSecret(ctx, executor, true)
	if err != nil {
		return "", err
	}
	l := claimLink{Exchange: x.id, Executor: executor.ID, Ref: ref, Expires: at.Add(claimTime)}
	token := l.token(secret, executor.KeyHash)
	if len(token) > maxClaimToken {
		return "", nil
	}
	return public + claimPath + token, nil
}

// linkSecret returns the secret of an executor, which is made where it is missing and asked for; nil where it is
// missing.
func (x *running) linkSecret(ctx context.Context, executor *exchange.Executor, create bool) ([]byte, error) {
	if secret := x.engine.links.get(executor); secret != nil {
		return secret, nil
	}
	data, _, err := x.engine.store.Load(ctx, profileKey(x.id, executor.ID))
	if err != nil && !x.engine.store.NoSuchKey(err) {
		return nil, fmt.Errorf("read the profile of %s: %w", executor.ID, err)
	}
	var secret []byte
	if err == nil {
		secret = x.readProfile(executor, data).linkSecret()
	}
	if secret == nil && create {
		if secret, err = x.makeLinkSecret(ctx, executor.ID); err != nil {
			return nil, err
		}
	}
	if secret != nil {
		x.engine.links.put(executor, secret)
	}
	return secret, nil
}

// makeLinkSecret puts a secret into the profile object of an executor, unless another replica is faster: then it
// returns that one's.
func (x *running) makeLinkSecret(ctx context.Context, executorID string) (secret []byte, err error) {
	done, err := x.engine.profiles.take(ctx, x.id, executorID)
	if err != nil {
		return nil, err
	}
	defer done()
	fresh := make([]byte, linkSecretBytes)
	_, _ = rand.Read(fresh) // never fails
	err = x.putProfile(ctx, executorID, func(old []byte) ([]byte, error) {
		executor, ok := x.executor(executorID)
		if !ok {
			return nil, errRemoved
		}
		p := x.readProfile(executor, old)
		if secret = p.linkSecret(); secret != nil {
			return old, nil
		}
		secret = fresh
		p.set(linkSecretName, base64.StdEncoding.EncodeToString(fresh))
		return p.encode()
	})
	if err != nil {
		return nil, err
	}
	if _, still := x.executor(executorID); !still {
		// It was removed meanwhile, and its object may have come back by this.
		if err := x.deleteProfile(ctx, executorID); err != nil {
			return nil, err
		}
		return nil, errRemoved
	}
	return secret, nil
}

// linkSecret returns the secret in a profile object; nil for none, or for a text of that name that someone kept
// there before the server did.
func (p profile) linkSecret() []byte {
	var text string
	if json.Unmarshal(p[linkSecretName], &text) != nil {
		return nil
	}
	secret, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(secret) != linkSecretBytes {
		return nil
	}
	return secret
}
