package eventlog

import "time"

const (
	// maxBatch bounds the bytes of one commit that carries several commands: far enough below the
	// 16 MiB from which the AWS SDK turns an upload into a multipart one, and small enough that one
	// slow upload does not hold many answers.
	maxBatch = 8 << 20
	// maxCommand bounds the encoded events of one command, and so every commit: from 16 MiB on the
	// SDK uploads in parts, which is another protocol with conditions of its own, and DuckDB's readers
	// fail on lines that long.
	maxCommand = 15 << 20
	// usualEvents and usualBytes are what a command usually brings, aroundPayload what a line usually holds
	// besides its payload: room is made for that much at once.
	usualEvents   = 2
	usualBytes    = 1 << 10
	aroundPayload = 320
	// maxQueue bounds the commands that wait for a commit. A group commit drains a full queue in a
	// second or so; beyond it waiting only makes answers late.
	maxQueue = 4096

	// putTimeout bounds one attempt to write a commit, readTimeout the wait for an object of the tail,
	// to which slowestRead adds what a large one may take to come. giveUp bounds all attempts at one position together: a client is told within ten seconds
	// that a write did not come through, whatever the store does.
	putTimeout  = 5 * time.Second
	readTimeout = 4 * time.Second
	giveUp      = 8 * time.Second
	// replayTimeout is readTimeout where nobody waits for an answer.
	replayTimeout = 60 * time.Second
	// slowestRead is how many bytes a second a store must bring. A merged day is many megabytes, and a
	// replica that meets one in its tail must get past it.
	slowestRead = 1 << 20

	// maxLost and loseFor bound how often and how long a batch may lose its position before its commands are
	// told to come back: a replica far from its bucket can lose every race. Three busy ones next to it lose ten
	// in a row once in two hundred batches, and win in the end (TestNobodyStarves); one that slept for
	// long has lost one.
	maxLost = 10
	loseFor = 5 * time.Second
	// politeness is how long after meeting another writer's commit a writer leaves room, for the time
	// one write takes, after each commit of its own. Without it the one nearer to the bucket wins every race.
	politeness = time.Second

	// maxAhead is how far ahead of the store's time the log's day may be moved. One bad clock must not
	// put a log into the year 2099 for good (storage rule 8).
	maxAhead = 24 * time.Hour

	// fenceAfter is how old the last proof that the log's day was open may be, at the store's time of an
	// answer, for the answer to be used without reading the day's first object (fence.go). A day is merged
	// a day or more after its end, so this is far too early rather than too late.
	fenceAfter = 6 * time.Hour

	// mergeAfter is how old, by the store, the end of a day must be for the day to be merged. It must be well
	// above fenceAfter, and long enough that nobody but a sleeper meets a merge.
	mergeAfter = 24 * time.Hour
	// mergeTimeout bounds writing a merged day (of maxMerged, memory.go), mergeDeletes how many objects are deleted at once after it.
	mergeTimeout = 5 * time.Minute
	mergeDeletes = 8

	// fetchReaders is how many parts of a log one reader of single events has on their way at once. Parts
	// less than fetchGap apart are read as one, up to fetchSpan: reading on is cheaper than asking again.
	fetchReaders = 8
	fetchGap     = 64 << 10
	fetchSpan    = 4 << 20
	// pageBytes is from when on a reader of many events (events.go) has enough at once.
	pageBytes = 1 << 20
	// likelyMerged is when after its end a day is rather looked for as one object: mergeAfter, and a day
	// more until every replica has looked.
	likelyMerged = mergeAfter + 24*time.Hour

	// maxSnapshotHeader bounds the first line of a snapshot, and each text in its lists.
	maxSnapshotHeader = 64 << 10
	// snapshotWindow is how far back the compression of a snapshot looks, and what reading one takes.
	snapshotWindow = 4 << 20
	// snapshotTimeout bounds making and writing one, which may be larger than a merged day.
	snapshotTimeout = 2 * mergeTimeout
	// keptSnapshots is how many stay: the newest, and the one before, which somebody may be reading.
	keptSnapshots = 2

	// replayReaders is how many objects are read at once at a start. Each is a wait for the store, not
	// work for a processor. Together they have at most replayBytes (memory.go), or are one object.
	replayReaders = 32
)
