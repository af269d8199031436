package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
	notification "github.com/mess-exchange/mess-exchange/internal/notify/settings"
)

// disabledName is the member of a channel or hook that the server turned off, with when and why. Setting the list
// again turns it on.
const disabledName = "disabled"

// turnOff turns off the channels and hooks whose receivers want no more. Where that fails, the next notification is
// refused as this one was, and it is tried then.
func (t *teller) turnOff(gone []*job) {
	var all errgroup.Group
	all.SetLimit(guestReaders)
	for _, j := range gone {
		all.Go(func() error {
			ctx, cancel := context.WithTimeout(t.x.engine.life, answerTime)
			defer cancel()
			if err := t.x.turnOff(ctx, j); err != nil && t.x.engine.life.Err() == nil {
				t.x.logger.Warn("a channel or hook could not be turned off", "executor", j.executor, "channel", j.way.String(), "error", err)
			}
			return nil
		})
	}
	_ = all.Wait() // its functions return nil
}

var errNotTheSame = errors.New("the settings have changed meanwhile")

func (x *running) turnOff(ctx context.Context, j *job) error {
	done, err := x.engine.profiles.take(ctx, x.id, j.executor)
	if err != nil {
		return err
	}
	defer done()
	now := x.engine.store.Now()
	err = x.putProfile(ctx, j.executor, func(old []byte) ([]byte, error) {
		executor, ok := x.executor(j.executor)
		if !ok {
			return nil, errNotTheSame
		}
		p := x.readProfile(executor, old)
		if err := p.turnOff(j, now); err != nil {
			return nil, err
		}
		return p.encode()
	})
	x.forgetSettings(j.executor)
	if errors.Is(err, errNotTheSame) {
		return nil
	}
	if err != nil {
		return err
	}
	x.logger.Info("a channel or hook was turned off", "executor", j.executor, "channel", j.way.String(), "reason", wantsNoMore)
	return x.submit(ctx, &announce{id: j.executor})
}

// turnOff marks an entry of a list. The rest of the profile stays as it is.
func (p profile) turnOff(j *job, now time.Time) error {
	s, _ := notification.Read(p.settings())
	if _, is, ok := wayNamed(s, j.way.String()); !ok || !reflect.DeepEqual(is, j.entry) {
		return errNotTheSame
	}
	holder, name := p, "notifications"
	if j.way.Moment != "" {
		holder, name = profile{}, j.way.Moment.Setting()
		if err := json.Unmarshal(p["hooks"], &holder); err != nil {
			return errNotTheSame
		}
	}
	var list []json.RawMessage
	if err := json.Unmarshal(holder[name], &list); err != nil || j.way.Index >= len(list) {
		return errNotTheSame
	}
	entry := profile{}
	if err := json.Unmarshal(list[j.way.Index], &entry); err != nil {
		return errNotTheSame
	}
	entry.set(disabledName, map[string]string{"at": wireTime(now), "reason": wantsNoMore})
	marked := profile{}
	marked.set("entry", entry)
	list[j.way.Index] = marked["entry"]
	holder.set(name, list)
	if j.way.Moment != "" {
		p.set("hooks", holder)
	}
	return nil
}

// turnedOn returns settings without the marks of what was turned off: whoever sets a list wants all of it.
func turnedOn(settings map[string]json.RawMessage) map[string]json.RawMessage {
	on := make(profile, len(settings))
	for name, value := range settings {
		on[name] = value
		if !bytes.Contains(value, []byte(`"`+disabledName+`"`)) {
			continue
		}
		switch name {
		case "notifications":
			on[name] = entriesOn(value)
		case "hooks":
			var hooks profile
			if json.Unmarshal(value, &hooks) == nil && hooks != nil {
				for moment, list := range hooks {
					hooks[moment] = entriesOn(list)
				}
				on.set(name, hooks)
			}
		}
	}
	return on
}

// entriesOn takes the marks out of a list; what is no list of objects stays as it is.
func entriesOn(value json.RawMessage) json.RawMessage {
	var list []profile
	if json.Unmarshal(value, &list) != nil {
		return value
	}
	for _, entry := range list {
		delete(entry, disabledName)
	}
	p := profile{}
	p.set("list", list)
	return p["list"]
}

// announce makes an executor_updated without a change of what events hold: the settings have changed, by the
// server's own doing.
type announce struct{ id string }

// Decide implements exchange.Command.
func (a *announce) Decide(s *exchange.State, _ time.Time) ([]exchange.Draft, *exchange.Error) {
	if s.ReadOnly() != "" {
		return nil, refuse(exchange.CodeReadOnly, "This exchange was written to by a newer version of the server")
	}
	if _, ok := s.Executor(a.id); !ok {
		return nil, nil
	}
	return []exchange.Draft{{Type: exchange.ExecutorUpdated, Actor: a.id, Payload: json.RawMessage(`{}`)}}, nil
}
