// Package orders keeps orders and announces them.
package orders

import (
	"context"
	"encoding/json"
	"errors"
)

// Keeper stores one order.
type Keeper interface {
	Put(ctx context.Context, id string, body json.RawMessage) error
}

// Announcer tells the other services.
type Announcer interface {
	Announce(ctx context.Context, id string) error
}

// Shop accepts orders.
type Shop struct {
	Keeper    Keeper
	Announcer Announcer
	NewID     func() string
}

// Accept stores the order and announces it; it returns the order's id.
func (s Shop) Accept(ctx context.Context, body json.RawMessage) (string, error) {
	if !json.Valid(body) {
		return "", errors.New("the order is not JSON")
	}
	id := s.NewID()
	if err := s.Keeper.Put(ctx, id, body); err != nil {
		return "", err
	}
	return id, s.Announcer.Announce(ctx, id)
}
