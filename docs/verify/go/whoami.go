// A service that verifies Symbolon's access tokens itself and follows revocations: one Ed25519 verification a request,
// and no call. What it checks and why is in ../README.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"
)

type claims struct {
	jwt.RegisteredClaims
	SessionID string `json:"sid"`
	ClientID  string `json:"client_id"`
	Scope     string `json:"scope,omitempty"`
}

// Validate is called by the library, which would let a claim be missing: without sid nothing could be revoked.
func (c claims) Validate() error {
	if c.Subject == "" || c.SessionID == "" {
		return errors.New("a claim is missing")
	}
	return nil
}

// What cannot be told now is not the user's fault: 503, never 401, which would sign people out.
var errUndecided = errors.New("the issuer's keys or its revocations are not known")

type verifier struct {
	keys    keyfunc.Keyfunc
	parser  *jwt.Parser
	revoked *revocations
}

func newVerifier(ctx context.Context, issuer, audience string, revoked *revocations) (*verifier, error) {
	// Kept while the issuer is away. A new key is published a day before it signs; a kid that is not known is looked
	// for at most every 5 s, so that forged ones do not become calls.
	keys, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{issuer + "/.well-known/jwks.json"}, keyfunc.Override{
		HTTPTimeout:       5 * time.Second,
		RefreshInterval:   5 * time.Minute,
		RefreshUnknownKID: rate.NewLimiter(rate.Every(5*time.Second), 1),
		RateLimitWaitMax:  time.Second,
	})
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{"EdDSA"}),
		jwt.WithIssuer(issuer),
		jwt.WithAudience(audience),
		jwt.WithExpirationRequired(),
		jwt.WithLeeway(5*time.Second), // for clocks that differ
	)
	return &verifier{keys, parser, revoked}, err
}

func (v *verifier) verify(ctx context.Context, token string) (*claims, error) {
	claims := new(claims)
	parsed, err := v.parser.ParseWithClaims(token, claims, func(token *jwt.Token) (any, error) {
		// The library looks at neither: another kind of token of this issuer is no access token, and one that names no
		// key would get past the keys that were revoked.
		if _, named := token.Header["kid"].(string); !named || token.Header["typ"] != "at+jwt" {
			return nil, errors.New("not an access token")
		}
		return v.keys.KeyfuncCtx(ctx)(token)
	})
	if errors.Is(err, jwt.ErrTokenUnverifiable) {
		if known, _ := v.keys.Storage().KeyReadAll(ctx); len(known) == 0 {
			return nil, errUndecided
		}
	}
	if err != nil {
		return nil, err
	}
	return claims, v.revoked.check(claims.SessionID, parsed.Header["kid"].(string))
}

// guard lets through whom a good token with this scope names; "" asks for none.
func (v *verifier) guard(scope string, next func(http.ResponseWriter, *http.Request, *claims)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			token = ""
		}
		claims, err := v.verify(r.Context(), token)
		switch {
		case errors.Is(err, errUndecided):
			w.Header().Set("Retry-After", "1")
			http.Error(w, "it cannot be told now whether this token is good", http.StatusServiceUnavailable)
		case err != nil:
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "a good access token is needed", http.StatusUnauthorized)
		case scope != "" && !slices.Contains(strings.Fields(claims.Scope), scope):
			w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="`+scope+`"`)
			http.Error(w, "the token does not allow this", http.StatusForbidden)
		default:
			next(w, r, claims)
		}
	}
}

func main() {
	env := func(name string) string {
		if os.Getenv(name) == "" {
			log.Fatalf("%s is not set", name) // without an issuer or an audience the library would not check them
		}
		return os.Getenv(name)
	}
	revoked, err := watch(context.Background(), env("SYMBOLON_URL"), os.Getenv("SYMBOLON_CALLER_TOKEN"))
	if err != nil {
		log.Fatal(err)
	}
	verifier, err := newVerifier(context.Background(), env("ISSUER"), env("AUDIENCE"), revoked)
	if err != nil {
		log.Fatal(err)
	}
	whoami := func(w http.ResponseWriter, _ *http.Request, claims *claims) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(claims)
	}
	http.HandleFunc("GET /whoami", verifier.guard("", whoami))
	http.HandleFunc("GET /orders", verifier.guard("orders:read", whoami))
	listener, err := net.Listen("tcp", "localhost:"+env("PORT"))
	if err != nil {
		log.Fatal(err)
	}
	os.Stdout.WriteString("listening on " + listener.Addr().String() + "\n")
	log.Fatal(http.Serve(listener, nil))
}
