package differential

import (
	"context"
	"net/url"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/netbirdio/netbird/shared/management/proto"

	"rookery.test/system/harness"
)

// signIn has somebody sign in at the server's own provider, on a browser of his own, and remembers the token.
func (s *server) signIn(who string) error {
	login, walk := harness.NewLogin(s.provider), harness.NewWalk(s.t)
	if login.CAFile = s.ca; s.ca != "" {
		walk.Trust(s.ca)
	}
	page, err := walk.TryGet(login.URL(nil), login.Redirect)
	if err != nil {
		return err
	}
	back, err := walk.TryFill(page, url.Values{"login": {s.names.ids[who+".email"]}, "password": {s.names.ids[who+".password"]}}, login.Redirect)
	if err != nil {
		return err
	}
	if back.URL.Query().Get("code") == "" {
		return status.Errorf(codes.Unauthenticated, "%s cannot sign in", who)
	}
	s.names.ids[who+".secret"] = login.Redeem(s.t, back).Access
	return nil
}

// enrol logs an agent in: with a setup key, or a token of somebody who signs in for it, or as one that is known.
func (s *server) enrol(ctx context.Context, g *agent, o *op) (*proto.LoginResponse, error) {
	if o.as == "" {
		return s.bare(g).TryLogin(ctx, s.names.ids[o.key+".secret"], o.labels...)
	}
	if err := s.signIn(o.as); err != nil {
		return nil, err
	}
	return s.bare(g).TokenLogin(ctx, s.names.ids[o.as+".secret"])
}
