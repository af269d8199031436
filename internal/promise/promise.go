//go:build js

package promise

import (
	"context"
	"errors"
	"fmt"
	"syscall/js"
)

// Error is what a promise was rejected with, or what a call threw.
type Error struct {
	Name, Message string
}

func (e *Error) Error() string { return e.Name + ": " + e.Message }

type settled struct {
	value js.Value
	err   error
}

// Call calls a method that returns a promise, and waits for it until ctx ends. What ctx has ended goes on in
// JavaScript: its outcome is unknown.
func Call(ctx context.Context, object js.Value, method string, args ...any) (js.Value, error) {
	p, err := Try(object, method, args...)
	if err != nil {
		return js.Undefined(), err
	}
	return Await(ctx, p)
}

// Try calls a method and returns what it throws as an error.
func Try(object js.Value, method string, args ...any) (_ js.Value, err error) {
	defer func() {
		switch thrown := recover().(type) {
		case nil:
		case js.Error:
			err = reason(thrown.Value)
		default:
			panic(thrown)
		}
	}()
	return object.Call(method, args...), nil
}

// Await waits for a promise until ctx ends. What is no promise is its own answer.
func Await(ctx context.Context, p js.Value) (js.Value, error) {
	if p.Type() != js.TypeObject || p.Get("then").Type() != js.TypeFunction {
		return p, nil
	}
	done := make(chan settled, 1)
	var fulfilled, rejected js.Func
	settle := func(s settled) any {
		fulfilled.Release()
		rejected.Release()
		done <- s
		return nil
	}
	fulfilled = js.FuncOf(func(_ js.Value, args []js.Value) any { return settle(settled{value: args[0]}) })
	rejected = js.FuncOf(func(_ js.Value, args []js.Value) any { return settle(settled{err: reason(args[0])}) })
	p.Call("then", fulfilled, rejected)
	select {
	case s := <-done:
		return s.value, s.err
	case <-ctx.Done():
		return js.Undefined(), context.Cause(ctx)
	}
}

// reason is what was thrown, as an error.
func reason(v js.Value) error {
	if v.Type() != js.TypeObject {
		return errors.New("a script says " + v.String())
	}
	name, message := v.Get("name"), v.Get("message")
	if message.Type() != js.TypeString {
		return fmt.Errorf("a script says %s", v.Call("toString"))
	}
	e := &Error{Name: "Error", Message: message.String()}
	if name.Type() == js.TypeString {
		e.Name = name.String()
	}
	return e
}

// Bytes returns a copy of data that JavaScript may keep.
func Bytes(data []byte) js.Value {
	array := js.Global().Get("Uint8Array").New(len(data))
	js.CopyBytesToJS(array, data)
	return array
}
