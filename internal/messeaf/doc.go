// Package messeaf reads and writes MESSE-AF, the files in which threads are kept and carried from one
// exchange to another. It is pure: bytes in, a thread or a sentence out.
//
//	v1   {ref}.messe-af.yaml         an envelope, then a document per message
//	v2   {ref}/000-{ref}.messe-af.yaml, further files 001-… past 1 MiB, attachments att-001-image-{name}
//	zip  threads of either version, in any folders
//
//	ParseV1, ParseV2, ParseTree, ParseZip   files → threads, or an *Error
//	RenderV1, RenderV2, Files, Tree, Zip    threads → files
//
// # What must stay true
//
//   - Nothing is lost. A thread is its documents, each an ordered JSON object: the names this package
//     does not know, the order of all, numbers and times as they are spelled, null beside absent
//     beside "". What is known (View) is read out of the documents and never written back over them.
//     Only comments, and the style of YAML, are not kept.
//   - A file in the canonical style comes back to the byte. Any other comes back as a canonical file
//     that says the same, and that one comes back to the byte from then on.
//   - A text stays a text for every reader. Times of the format alone are written as YAML's own.
//   - All of an import is read, or nothing. Every refusal is an *Error: a sentence with the file and the
//     line where they are known, that repeats at most a few words of what was sent, printable.
//   - Memory is bounded before it is taken (limits.go), whatever is sent. No name that leaves its folder
//     on any system gets in, so none gets out.
//
// # The canonical style
//
// Documents are separated by "---" alone, the first has none. Objects and lists are blocks, indented by
// two, lists below their key too; empty ones are {} and []. Texts are plain where they begin with
// a letter, a digit, "_", "/" or a character beyond ASCII and no version of YAML reads them as anything
// else; so "yes", "no", "on", "off", "y", "n" (booleans of YAML 1.1), "null", "1:30", "1_000", "010", "1e5" and
// "2026-02-01" are quoted, 1.0.0 and 2026-02-01-XY1Z are not. A text of several lines is a literal block
// ("|", "|-", "|+"), unless a line ends in blanks, the first begins with one, or a character needs an
// escape. Everything else is in double quotes on one line: only these say what characters they hold,
// whatever is done to the blanks around them. Numbers are as they were spelled (which leaves 1e5 a text
// for readers of YAML 1.1). Keys of more than 512 bytes stand behind "? ".
//
// created, updated, expires, received and the at of the history are plain if they are times.
//
// Scalars are read by the core schema of YAML 1.2, as the original's library does. Numbers that readers
// understand in different ways (010, 0x1F, +5, .5) are refused rather than guessed, as are anchors, aliases,
// merge keys, tags, directives and keys that are no texts.
//
// # From a file to an exchange
//
// View is what an exchange knows of a thread; Documents are all of it, plain JSON for a line of the log.
// An import becomes one event per thread, not the events that might have led to it: the original's
// times can't be those of events, whose times never go back, and a history may hold actions that are
// no changes of a status (created, dispatched, replied).
//
//	thread_imported  actor: who imports   payload: {"documents": [envelope, message, …], "attachments": […]}
//
// The rules, which import nothing, fold it by reading the documents as they read any payload: from the
// envelope ref, requestor, executor, status (in any accepted spelling, set directly), priority, intent,
// created, expires; from each message from, received and MESS. They were checked here. A server that
// does not know this type of event goes read-only, as it should. The command is refused (409) where the
// exchange has that ref, before anything is stored. The executors named need not be known to the
// exchange. What is terminal stays so; what is pending can be claimed and goes on as any other thread.
// In lists it stands where its event puts it, the newest, and shows the time of that: lists are in the
// order of updates, and who reads on from a page or a time must not miss it. The updated of its file is in
// its documents, where an export finds it. The bytes of Attachments are kept beside the log before the
// event, which names them by FileName.
//
// Export is the reverse. A thread that was made here is New(view), with a history of an entry per
// event: "created", then the status of each change ("pending" for one that was given back), By the
// actor, Ref from MessageRefs for the message that came with it. A thread that was imported is
// FromDocuments(…).With(view), the view's history being that of the file and then its events since. What
// has not changed is as it was written, though the exchange tells no channel, no client_id, and
// milliseconds only. RenderV1 of a thread with attachments is ErrAttachments; its v2 is to be asked for
// instead. What an exchange holds of older data may be no thread of the format (a status nobody knows,
// a requestor without a name). It is written as it is, and refused by who imports it.
//
// A body {files: [{name, content}]} has texts for contents, so attachments are base64 there. Size limits
// here are for all of a body or zip together; a command that imports a folder sends it thread by thread, a
// file for ParseV1 or the files of a folder for ParseV2, so that the limits are those of one thread.
//
// # Measured
//
// On two shared cores, CPU time, Go 1.26: the dearest text of 10 MB (5,000 documents of 400 empty
// objects each) is read in 1.6 s, 9 MiB of prose in 0.6 s. The heap grows by 75 MB at most for one
// document (99,000 keys; 60 MB for as many objects in a list), and by 60 MB for one text of 9 MiB. A flow
// collection of 1 MB, were it not refused, would make the parser allocate 0.9 GB and take 1.6 s.
//
// 300 threads of the property test's generator, whose texts are hard ones, were read alike by the npm
// packages yaml and js-yaml (YAML 1.2) and by PyYAML 6.0.3 (YAML 1.1), to which 1e5 is a text and the times
// of the format, and no others, are times.
//
// # Files
//
// thread.go has the thread, with.go how it goes on, document.go the fields of its documents, refs.go and
// names.go the names, json.go ordered JSON. Reading goes scan.go (characters, documents), size.go (what parsing will
// cost), yaml.go (values), document.go (fields), files.go and zip.go (which file is what). Writing is
// emit.go (YAML) and render.go (files).
package messeaf
