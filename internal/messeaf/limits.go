package messeaf

// What one import may hold. A file comes from whoever has a key, so each of these is checked before
// the memory it would take is taken. Measured costs are in doc.go.
const (
	// maxYAML is the size of one YAML file. A body of the server is 10 MiB at most, so no thread that
	// was made here through it has a longer message.
	maxYAML = 10 << 20
	// maxBytes is the size of all files of an import together, unpacked: six times what a body can
	// bring, because text packs well, and still no burden for a small server.
	maxBytes = 64 << 20
	// maxText is the size of all YAML files of an import together. Read, they take up to two and a half
	// times as much: "- " is a null. A line of the log holds 15 MiB.
	maxText = 16 << 20
	// maxFiles of an import: each costs some hundred bytes before its content is looked at.
	maxFiles = 10_000
	// maxDocuments of a thread, its envelope included. People and devices don't say more to each other
	// about one request; 10,000 is the count that the requirements call hostile.
	maxDocuments = 5_000
	// maxDepth of objects and lists inside each other, the document being the first. Bodies of the server
	// have 100, and a request stands three deeper in its message: the document, MESS and its block.
	maxDepth = 103

	// maxLines of a document, those of literal blocks aside, and counted with what else may begin on a
	// line behind a "- ". One line may become three nodes of 160 bytes and more.
	maxLines = 100_000
	// maxFlow is how many commas and opening brackets a document may have from where a flow collection may
	// begin ([a, b] or {a: b}). The parser keeps the tokens of such a collection until it knows
	// whether it is a key, at 200 bytes each, so these are dearer than lines. What has no flow
	// collections, as all that Render writes, may have any number of commas.
	maxFlow = 1 << 15

	// maxName is for what names somebody or something: executors, actions, channels, ids and refs.
	maxName = 512
	// maxFileName is what file systems allow for a name.
	maxFileName = 255
	// maxPath is for the folders and the name of a file in a zip together.
	maxPath = 1024
)

// What Render keeps to.
const (
	// fileSize is when a v2 thread goes on in a further file. The format says 1 MB, which is the limit
	// of a service that such files are kept on: 1 MiB.
	fileSize = 1 << 20
	// maxImplicitKey is a key's length from which it gets a line of its own, behind "? ". YAML readers
	// look 1024 characters far for the colon that makes a text a key.
	maxImplicitKey = 512
)
