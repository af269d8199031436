package capabilities

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	// checkEvery is how often the folder is looked at, at most.
	checkEvery = time.Second
	// settleTime is how long after its last change a file may change again without showing it: its time may
	// be as coarse as that. Until then it is read again whenever it is looked at.
	settleTime = 2 * time.Second
	// maxFile is the largest file that is read. The parser takes some hundred bytes of memory for each one.
	maxFile = 1 << 20
	// maxFiles and maxAll bound the whole, and with it the answer to a list. The last file may go beyond.
	maxFiles = 1000
	maxAll   = 4 << 20
)

// Capability is one entry of the catalogue.
type Capability struct {
	ID          string
	Description string
	Tags        []string
}

// Catalogue is the catalogue of one folder. Its methods may be called from any goroutine.
type Catalogue struct {
	folder string
	log    *slog.Logger
	now    func() time.Time

	mu      sync.Mutex
	checked time.Time
	files   map[string]*file // by name
	all     []Capability     // replaced as a whole, never changed
	problem string           // of the folder, as it was logged
	twice   map[string]bool  // what was logged about capabilities that are described twice
}

// file is one that was read.
type file struct {
	info         fs.FileInfo
	size         int64 // what it took to read
	read         time.Time
	capabilities []Capability
	problem      string // "" where it is a part of the catalogue
}

// New returns the catalogue of a folder, which need not be there. It reads nothing yet. log may be nil.
func New(folder string, log *slog.Logger) *Catalogue {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Catalogue{folder: folder, log: log, now: time.Now, files: map[string]*file{}}
}

// List returns the capabilities with that tag, "" for all. The list is not to be changed.
func (c *Catalogue) List(tag string) []Capability {
	c.mu.Lock()
	if now := c.now(); c.checked.IsZero() || now.Sub(c.checked) >= checkEvery || now.Before(c.checked) {
		c.refresh()
		c.checked = now
	}
	all := c.all
	c.mu.Unlock()
	if tag == "" {
		return all
	}
	return tagged(all, tag)
}

// refresh reads what has changed. A folder that can't be read leaves all as it is. c.mu must be held.
func (c *Catalogue) refresh() {
	names, err := c.names()
	c.complain(err)
	if err != nil && !errors.Is(err, errNoFolder) {
		return
	}
	files := map[string]*file{}
	changed, full := false, false
	var size int64
	for i, name := range names {
		before := c.files[name]
		now := c.look(name, before, i < maxFiles && size < maxAll)
		files[name] = now
		size += now.size
		if now == before {
			continue
		}
		changed = true
		isNews := now.problem != "" && (before == nil || before.problem != now.problem)
		if now.problem == errNoRoom.Error() {
			isNews, full = isNews && !full, true // said of the first, it is said of all
		}
		if isNews {
			c.log.Warn("a file of the catalogue of capabilities is left out", "file", name, "problem", now.problem)
		}
	}
	if changed || len(files) != len(c.files) {
		c.files = files
		c.combine(names)
	}
}

var errNoFolder = errors.New("there is no such folder")

// names returns the names of the catalogue's files, in their order.
func (c *Catalogue) names() ([]string, error) {
	entries, err := os.ReadDir(c.folder) // in the order of their names
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoFolder
	}
	if err != nil {
		return nil, fmt.Errorf("read the folder: %w", err)
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		if extension := filepath.Ext(name); !strings.HasPrefix(name, ".") && (extension == ".yaml" || extension == ".yml") {
			names = append(names, name)
		}
	}
	return names, nil
}

// complain logs what is wrong with the folder, once.
func (c *Catalogue) complain(err error) {
	problem := ""
	if err != nil {
		problem = err.Error()
	}
	switch {
	case problem == c.problem, err == nil:
	case errors.Is(err, errNoFolder):
		c.log.Info("there is no catalogue of capabilities", "folder", c.folder)
	default:
		c.log.Warn("the catalogue of capabilities can't be read again", "folder", c.folder, "problem", problem)
	}
	c.problem = problem
}

// look returns the file as it is now: before itself where nothing has changed. Where there is no room for
// more it is not even looked at.
func (c *Catalogue) look(name string, before *file, room bool) *file {
	now := &file{read: c.now()}
	var err error
	switch path := filepath.Join(c.folder, name); {
	case !room:
		err = errNoRoom
	default:
		if now.info, err = os.Stat(path); err != nil {
			break
		}
		if before != nil && before.info != nil && before.sameAs(now.info) {
			return before
		}
		now.capabilities, now.size, err = load(path, now.info)
	}
	if err != nil {
		now.problem = cause(err)
		if before != nil && before.info == nil && now.info == nil && before.problem == now.problem {
			return before
		}
	}
	return now
}

var errNoRoom = fmt.Errorf("the files before it are %d, or %d MiB, which is all that is read", maxFiles, maxAll>>20)

// sameAs reports that what was read is what stands there.
func (f *file) sameAs(info fs.FileInfo) bool {
	return os.SameFile(f.info, info) && f.info.Size() == info.Size() && f.info.ModTime().Equal(info.ModTime()) &&
		f.read.Sub(info.ModTime()) > settleTime
}

// cause is what an error says without the path, which the log line has.
func cause(err error) string {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err.Error()
	}
	return err.Error()
}

// load reads a file; size is what it took to read.
func load(path string, info fs.FileInfo) (all []Capability, size int64, err error) {
	if !info.Mode().IsRegular() {
		return nil, 0, errors.New("it is no regular file") // opening a pipe would wait for its other end
	}
	in, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("it is larger than %d KiB", maxFile>>10)
	}
	if err != nil {
		return nil, int64(len(text)), err
	}
	all, err = parse(text)
	return all, int64(len(text)), err
}

// combine makes the list of what was read. c.mu must be held.
func (c *Catalogue) combine(names []string) {
	all := []Capability{}
	from := map[string]string{} // id → file
	doubles := map[string]bool{}
	for _, name := range names {
		for _, one := range c.files[name].capabilities {
			if first, twice := from[one.ID]; twice {
				doubles[fmt.Sprintf("%q is in %s already; the one in %s is left out", one.ID, first, name)] = true
				continue
			}
			from[one.ID] = name
			all = append(all, one)
		}
	}
	for problem := range doubles {
		if !c.twice[problem] {
			c.log.Warn("a capability is described twice", "problem", problem)
		}
	}
	c.all, c.twice = all, doubles
}
