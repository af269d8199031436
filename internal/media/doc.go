// Package media finds photos, recordings and files in the blocks of messages. It is pure: JSON in, places and
// names out. It knows where media stand, and nothing of where they are kept.
//
//	{"image": "data:image/png;base64,…"}                      also audio, video, file, attachment
//	{"image": {"name": "a.jpg", "data": "…", "mime": "…"}}    data is bare base64 or a data: URI; uri is one or a link
//	{"content": ["data:image/png;base64,…", …]}               also context; a single one, too
//
// Lists may stand where one of them does. Nothing else in a message is looked at, whatever it holds: rules read
// some texts of a block, and no text that a rule reads stands in one of these places.
//
// # What must stay true
//
//   - What TakeOut took out, put back where it says, gives the same bytes again, whatever they were. So it takes
//     base64 only that is what encoding its bytes again gives, and that stands in the JSON text as it is, without
//     an escape. All before it in the string, however it is spelled, stays.
//   - Nothing that a client can write is taken for a place where something was taken out: these are told by
//     JSON pointers beside the message, never by something in it.
//   - Find gives the same media, in the same order, for a message as it was sent and after TakeOut. Names that
//     are made up of that order stay the same.
//   - Whatever bytes come, nothing panics. Cost: a walk over the text, most of it by searching for a quote.
package media
