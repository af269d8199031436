package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
	"github.com/mess-exchange/mess-exchange/internal/media"
)

const (
	// partWriters is how many media of one command are stored at once.
	partWriters = 4
	// partAttempts is how often one is stored of which the store does not say that it was, each time under
	// another key.
	partAttempts = 3
	// partTime is how long storing them may take, and a second more for each slowestUpload bytes. The commit
	// comes after it, so whoever sends media may have to wait longer than answerTime.
	partTime      = 4 * time.Second
	slowestUpload = 1 << 20
	// commitPatience bounds the wait for the outcome of a commit that names attachments. The log gives up
	// before.
	commitPatience = time.Minute
	// lookAgainAfter is how long after an attachment was stored a commit that names it may be done without
	// looking whether it is still there (docs/storage.md, rule 15).
	lookAgainAfter = 24 * time.Hour
	// latestNaming is how old an upload may be that a message names for the first time, so that it is not
	// collected while that is being committed. With lookAgainAfter it must stay below collectAfter.
	latestNaming = 6 * 24 * time.Hour
)

// luggage is what a command keeps beside the log: media that were taken out of it, and uploads that it names.
type luggage struct {
	folder string // the ref in the keys
	parts  []media.Part
	links  []exchange.Attachment
	into   *[]exchange.Attachment // of the command
	packed time.Time              // when storing them began, by the store
}

// worthALook reports whether a block may hold anything for takeOut. Most don't, and are not walked over.
func worthALook(block json.RawMessage) bool {
	return len(block) > media.Least || bytes.Contains(block, []byte("attachments"))
}

// takeOutOfCreate takes the media out of a new request. The ref is not decided yet: the first candidate stands
// in their keys, which is right nearly always and means nothing where it is not.
func (x *running) takeOutOfCreate(cmd *exchange.Create) *luggage {
	cmd.Attachments = nil
	if len(cmd.Request) <= media.Least {
		return nil
	}
	l := &luggage{folder: exchange.NewRef(x.engine.store.Now(), cmd.Suffixes[0]), into: &cmd.Attachments}
	cmd.Request, l.parts = media.TakeOut(cmd.Request, "/0/request", media.Most)
	if len(l.parts) == 0 {
		return nil
	}
	if context, ok := media.Member(cmd.Request, "context"); ok && len(cmd.Context) > 0 {
		cmd.Context = context // stands in the event of the thread too, and is not to be there whole
	}
	return l
}

// takeOutOfUpdate takes the media out of a message, and looks at the uploads that it names.
func (x *running) takeOutOfUpdate(ctx context.Context, cmd *exchange.Update) (*luggage, error) {
	cmd.Attachments = nil
	l := &luggage{folder: cmd.Ref, into: &cmd.Attachments}
	for i, block := range cmd.Mess {
		if !worthALook(block) {
			continue
		}
		at := "/" + strconv.Itoa(i)
		small, parts := media.TakeOut(block, at, media.Most-len(l.parts))
		cmd.Mess[i], l.parts = small, append(l.parts, parts...)
		for _, m := range media.Find(small, at) {
			if err := x.addLink(ctx, l, cmd.Ref, &m); err != nil {
				return nil, err
			}
		}
	}
	if len(l.parts)+len(l.links) == 0 {
		return nil, nil
	}
	return l, nil
}

// addLink adds the upload that a medium names, if it is a link to one of this thread. One that is not there, or too old
// to be named, is refused, since the message would lead nowhere; but a link with a host may lead elsewhere.
func (x *running) addLink(ctx context.Context, l *luggage, ref string, m *media.Medium) error {
	file, absolute, ok := media.FileOf(m.URL(), x.id, ref)
	key := attachmentFolder(x.id) + folderOf(ref) + "/" + file
	if !ok || !isAttachmentKey(x.id, key) || len(l.links) == media.Most {
		return nil
	}
	soon, cancel := context.WithTimeout(ctx, partTime)
	defer cancel()
	r, err := x.engine.openAttachment(soon, key, 0, 1)
	switch {
	case err != nil && !x.engine.store.NoSuchKey(err):
		return x.engine.unreadable(ctx, err)
	case err != nil && absolute:
		return nil
	case err != nil:
		return refuse(exchange.CodeInvalid, "mess"+m.At+": names no upload of this request; upload it again")
	}
	defer r.Close()
	if x.engine.store.Now().Sub(r.ModTime()) > latestNaming && !x.isNamed(key) {
		return refuse(exchange.CodeInvalid, "mess"+m.At+": names an upload that is too old to be kept; upload it again")
	}
	a := exchange.Attachment{Key: key, Size: r.Size(), Type: m.Type, Name: m.Name}
	if a.Name == "" {
		a.Name = nameOfFile(file)
	}
	a.Type = media.CleanType(a.Type, a.Name)
	l.links = append(l.links, a)
	return nil
}

// isNamed reports whether an event names the key, as far as this replica knows.
func (x *running) isNamed(key string) bool {
	hash := exchange.AttachmentHash(key)
	x.machine.mu.RLock()
	defer x.machine.mu.RUnlock()
	for _, h := range x.machine.state.AttachmentHashes(nil, 0) {
		if h == hash {
			return true
		}
	}
	return false
}

// submitWith is submit for a command with luggage, nil for none. What is refused, or was answered before, is not
// stored. Every attempt of a command stores under keys of its own; what no event names in the end is collected.
func (x *running) submitWith(ctx context.Context, c exchange.Command, l *luggage) error {
	if l == nil {
		return x.submit(ctx, c)
	}
	if len(l.parts) > 0 {
		if err := x.submit(ctx, unpacked{c}); !errors.Is(err, errUnpacked) {
			return err
		}
	}
	if err := x.stow(ctx, l); err != nil {
		return err
	}
	// The outcome is waited for though the client goes away: only then it can be seen that it came too late.
	patient, cancel := x.engine.detached(ctx, commitPatience)
	defer cancel()
	d := &decision{command: c}
	committed := x.log.Submit(patient, d)
	if x.engine.store.Now().Sub(l.packed) > lookAgainAfter {
		if err := x.lookAgain(ctx, l); err != nil {
			return err
		}
	}
	return x.outcome(ctx, d, committed)
}

// stow stores what was taken out, and tells the command where.
func (x *running) stow(ctx context.Context, l *luggage) error {
	size := 0
	for i := range l.parts {
		size += l.parts[i].Size
	}
	soon, cancel := context.WithTimeout(ctx, partTime+time.Duration(size)*time.Second/slowestUpload)
	defer cancel()
	l.packed = x.engine.store.Now()
	stowed := make([]exchange.Attachment, len(l.parts))
	writers, soon := errgroup.WithContext(soon)
	writers.SetLimit(partWriters)
	for i := range l.parts {
		writers.Go(func() (err error) {
			p := &l.parts[i]
			for range partAttempts {
				stowed[i], err = x.keepAttachment(soon, l.folder, p.Name, media.CleanType(p.Type, ""), p.Content())
				if err == nil || soon.Err() != nil || x.engine.store.Definite(err) || x.engine.store.Fatal(err) {
					break
				}
			}
			stowed[i].At, stowed[i].Name = p.At, p.Name
			return err
		})
	}
	if err := writers.Wait(); err != nil {
		return x.unkept(ctx, err)
	}
	*l.into = append(stowed, l.links...)
	return nil
}

// unkept turns an error of storing an attachment into a refusal.
func (x *running) unkept(ctx context.Context, err error) *exchange.Error {
	refusal := x.engine.unreadable(ctx, err)
	if ctx.Err() == nil {
		refusal.Message = "The storage is not available; nothing was stored"
	}
	return refusal
}

// lookAgain puts back what was collected between being stored and being named: the process, or the commit, stood
// still for days. What was only linked can't be put back.
func (x *running) lookAgain(ctx context.Context, l *luggage) error {
	patient, cancel := x.engine.detached(ctx, commitPatience)
	defer cancel()
	for i, a := range *l.into {
		r, err := x.engine.openAttachment(patient, a.Key, 0, 1)
		if err == nil {
			r.Close()
			continue
		}
		if x.engine.store.NoSuchKey(err) && i < len(l.parts) {
			err = x.writeAttachment(patient, &a, l.parts[i].Content())
		}
		if err != nil {
			x.logger.Error("an attachment was collected before its event was stored, and can't be put back", "key", a.Key, "error", err)
			return &exchange.Error{Code: exchange.CodeOutcomeUnknown, Message: "An attachment was lost on its way; look, and send it again", Err: opaque(err)}
		}
		x.logger.Warn("an attachment was collected before its event was stored, and was put back", "key", a.Key)
	}
	return nil
}

// nameOfFile is what an upload was called, as far as its key tells.
func nameOfFile(file string) string {
	if len(file) > uuidLength+1 && media.CleanName(file[uuidLength+1:]) {
		return file[uuidLength+1:]
	}
	return ""
}

// folderOf is the part of a key that says which thread it is of. Older refs may hold anything.
func folderOf(ref string) string {
	if _, _, ok := exchange.ParseRef(ref); ok {
		return ref
	}
	return fmt.Sprintf("-%016x", exchange.AttachmentHash(ref))
}
