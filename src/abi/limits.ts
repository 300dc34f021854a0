/** Limits: every bound of the system in one place, each with its unit in its name. */

export const limits = {
  /** A value of more bytes goes to the blob store and the journal holds its digest. */
  inlineBytesMax: 4_096,
  /** A record of the journal. */
  recordBytesMax: 16 * 1024 * 1024,
  /** A journal segment is closed and a checkpoint written beyond this. */
  segmentBytesMax: 64 * 1024 * 1024,
  /** What one call may put into the window; the rest is read on with another call. */
  resultTokensMax: 2_000,
  /** Arguments of one call, serialised. */
  argsBytesMax: 1024 * 1024,
  jsonDepthMax: 64,
  /** A failed call's message, as a model reads it. */
  errorCharsMax: 2_000,
  /** What nobody waits for is on the disk after this time. */
  durableWithinMs: 500,
  /** How long a leaving kernel waits for drivers that do not listen. */
  closeTimeoutMs: 5_000,
  /** Calls of one reply that are looked at; more are refused. */
  callsPerTurnMax: 64,
  /** Texts and calls of one reply that are kept; the rest is cut. */
  partsPerReplyMax: 1_024,
  /** A file that is read or written at once. */
  fileBytesMax: 16 * 1024 * 1024,
  /** What is kept in memory of texts that are read window by window. */
  textsBytesMax: 64 * 1024 * 1024,
  /** Of one line, in what fs.read gives. */
  lineCharsMax: 2_000,
  /** Documents of one run of a program; each is at most a file that can be read. */
  documentsMax: 2_000,
  /** How deep below the folder of a run its documents may lie. */
  documentDepthMax: 12,
  /** Entries of one fs.list. */
  listEntriesMax: 500,
  /** Of one fs.search: what it finds, what it looks into, the largest file, and what it shows of a line. */
  searchHitsMax: 100,
  searchFilesMax: 20_000,
  searchFileBytesMax: 2 * 1024 * 1024,
  searchLineCharsMax: 240,
  pathBytesMax: 4_096,
  processesMax: 100_000,
  spawnDepthMax: 16,
  stepsMax: 10_000,
  outputTokensMax: 4_096,
  /** Of a remote model, whose own thinking counts as output. */
  remoteOutputTokensMax: 16_384,
  shellTimeoutMs: 120_000,
  shellMemoryBytesMax: 1024 * 1024 * 1024,
  shellProcessesMax: 256,
  shellOutputBytesMax: 1024 * 1024,
  /** A guest with all it starts; its temporary files and its home count as memory. */
  guestMemoryBytesMax: 8 * 1024 * 1024 * 1024,
  /** Threads count too. */
  guestProcessesMax: 4_096,
  /** How long a guest may take to end after SIGTERM. */
  guestGraceMs: 3_000,
  /** What the journal keeps of its command. */
  guestCommandCharsMax: 8_000,
  /** Files and folders that a command of a session cannot open, because they look like secrets. */
  closedPathsMax: 256,
  /** What the changes of one session may take of the disk. */
  sessionBytesMax: 4 * 1024 * 1024 * 1024,
  sessionFilesMax: 200_000,
  /** The lesser of the two stays free on the disk of the sessions, which is the journal's. */
  diskFreeBytesMin: 256 * 1024 * 1024,
  diskFreeShareMin: 0.02,
  fetchTimeoutMs: 30_000,
  fetchBytesMax: 4 * 1024 * 1024,
  /** Retries of one model request after a transient failure. */
  modelRetriesMax: 4,
  modelTimeoutMs: 600_000,
  /** Silence of a model server in the middle of a reply. */
  modelIdleTimeoutMs: 300_000,
  modelReplyBytesMax: 64 * 1024 * 1024,
  /** A longer wait than this, asked for by a provider, is told to the process instead of slept through. */
  modelRetryAfterMsMax: 60_000,
  modelBackoffMsBase: 500,
  modelBackoffMsMax: 30_000,
  /** Retries a driver has in hand for all its requests together; a good reply gives a part back. */
  modelRetryTokens: 20,
  modelRetryTokensPerReply: 0.5,
  modelConnectionsMax: 512,
  /** Above this a reply is streamed even if nobody watches, so that no intermediary gives up on a silent connection. */
  modelSilentTokensMax: 16_384,
  detectTimeoutMs: 250,
  detectBytesMax: 1024 * 1024,
  /** One event of a stream, with all its lines. */
  sseBytesMax: 16 * 1024 * 1024,
  /** What an error quotes of a server's own words. */
  quoteCharsMax: 400,
  /** A process gets nowhere that saw and said only a few different things in so many rounds. */
  stallRounds: 32,
  /** How many different things are few. */
  stallDistinctMax: 3,
  /** A guest's request to a model. */
  guestBodyBytesMax: 64 * 1024 * 1024,
  /** What of it is kept in memory while it may have to be sent again; a larger one lies in a file. */
  guestBodyMemoryBytesMax: 128 * 1024,
  /** Requests of one guest that are under way or wait for a person, and connections of all guests. */
  guestRequestsMax: 64,
  guestConnectionsMax: 1_024,
  /** WebSockets of one guest, a message or a conversation on one, and messages that wait there. */
  guestSocketsMax: 16,
  guestSocketBytesMax: 16 * 1024 * 1024,
  guestSocketWaitingMax: 8,
  /** The result of a guest's own call, as it tells its model. */
  guestResultBytesMax: 256 * 1024,
  /** How often a model is asked again because a call of its reply was refused. */
  guestReasksMax: 8,
  /** A guest whose answer is held hears in a stream that it is still worked on. */
  guestKeepAliveMs: 15_000,
  /** How long a guest is told to wait for a call at the tool door: as long as a server may take, and a person who is asked meanwhile. */
  guestToolTimeoutMs: 3_600_000,
  /** What a guest's hook says of a call that is about to be made, its name there, and how long it waits for the answer. */
  hookBytesMax: 16 * 1024 * 1024,
  hookNameCharsMax: 256,
  hookTimeoutMs: 20_000,
  /** Where a guest does not say how much may be generated. */
  guestOutputTokensMax: 32_768,
  /** A provider's error that is passed on. */
  guestErrorBytesMax: 1024 * 1024,
  /** What a provider answers to a question that costs nothing. */
  guestAsideBytesMax: 4 * 1024 * 1024,
  /** Tries of one request of a guest. */
  guestTriesMax: 3,
  /** The longest wait that a provider may want before the next: beyond it the guest has to try again. */
  guestRetryAfterMsMax: 5_000,
  /** Of a guest at the net door: its connections at once, and the destinations that are decided on for it. */
  egressConnectionsMax: 128,
  egressDestinationsMax: 1_024,
  /** The head of a request or of an answer, and how long a guest may take to write it. */
  egressHeaderBytesMax: 32 * 1024,
  egressHeadersTimeoutMs: 15_000,
  /** Looking up a name, and connecting to its addresses. */
  egressLookupTimeoutMs: 10_000,
  egressConnectTimeoutMs: 15_000,
  /** The first message of TLS in a tunnel. */
  egressHelloBytesMax: 16 * 1024,
  egressHelloTimeoutMs: 10_000,
  /** Silence in both directions. */
  egressIdleTimeoutMs: 300_000,
  /** From the guest and to it: over one tunnel or in one request, and over its whole life. */
  egressUpBytesMax: 256 * 1024 * 1024,
  egressDownBytesMax: 4 * 1024 * 1024 * 1024,
  egressGuestUpBytesMax: 1024 * 1024 * 1024,
  egressGuestDownBytesMax: 32 * 1024 * 1024 * 1024,
  /** A destination that could not be reached is not looked up again before. */
  egressRetryMs: 10_000,
  fetchRedirectsMax: 5,
  fetchHeadersMax: 32,
  fetchHeaderBytesMax: 16 * 1024,
  urlBytesMax: 8 * 1024,
  mcpToolsMax: 256,
  mcpSchemaBytesMax: 64 * 1024,
  mcpDescriptionCharsMax: 2_048,
  mcpTextBytesMax: 1024 * 1024,
  mcpConnectTimeoutMs: 30_000,
  mcpCallTimeoutMs: 120_000,
  /** Of a client's call, during which a server may ask a person. */
  mcpAskTimeoutMs: 600_000,
  /** How long a closed server may take to end by itself, and again after it was told to. */
  mcpCloseTimeoutMs: 1_000,
  /** What a server of ours may write in one message. */
  mcpMessageBytesMax: 8 * 1024 * 1024,
  /** A result kept as its server gave it, for clients that take more than text. */
  mcpResultBytesMax: 8 * 1024 * 1024,
  /** Between two looks at what a server says has changed; notices in between count as one. */
  mcpRelistMsMin: 1_000,
  /** One request of a client at the tool door. */
  doorBodyBytesMax: 4 * 1024 * 1024,
  /** Its headers. */
  doorHeaderBytesMax: 16 * 1024,
  /** How long its bytes may take. */
  doorBodyTimeoutMs: 15_000,
  /** Connections to the tool door at once. */
  doorConnectionsMax: 256,
  /** Sessions of one process at the tool door; the one unused for longest makes room. */
  doorSessionsMax: 64,
  /** Pages of one server's list that are put together for a client. */
  doorPagesMax: 64,
  /** Text of one result that a client is given at once; the rest is read on. */
  doorTextCharsMax: 64 * 1024,
  /** Texts that are kept to be read on; the oldest makes room. */
  doorTextsMax: 32,
  /** Findings about the tools of one server that are told. */
  mcpFindingsMax: 20,
  /** What they quote of a tool's name. */
  mcpFindingNameMax: 60,
  /** What the question of a commit shows; the rest is counted, and `daimon diff PID:N` shows it. */
  reviewStepsMax: 100,
  reviewRowsMax: 240,
  reviewRowsPerStepMax: 60,
  reviewLineCharsMax: 400,
  /** Text that is compared by line for one question, all its files together. */
  reviewBytesMax: 4 * 1024 * 1024,
  configBytesMax: 1024 * 1024,
  /** What a person has accepted, in all their workspaces. */
  trustBytesMax: 16 * 1024 * 1024,
  /** Files of one program that is code, with all they import. */
  programFilesMax: 512,
  /** Aliases one configuration file may use: enough for people, too few for a bomb. */
  configAliasesMax: 32,
  /** A file of instructions (AGENTS.md and its like). */
  instructionBytesMax: 256 * 1024,
  /** A half of a workspace's key, as text. */
  keyBytesMax: 4_096,
  /** What is told of files that have no place in a `.daimon` somebody else made. */
  surveyFindingsMax: 20,
  /** Parsed policy sets in the user's cache; the oldest go first. */
  policyCacheFilesMax: 64,
  /** A holder of the workspace's lock that cannot be looked up counts as gone after this without a heartbeat. */
  lockHeartbeatMs: 5_000,
  lockStaleMs: 20_000,
  /** A temporary file older than this was left behind by a crash. */
  leftoverAgeMs: 3_600_000,
  /** The smallest window that can be asked for; less than that holds no task at all. */
  windowTokensMin: 256,
  /** Files in the shared tier. */
  sharedFilesMax: 1_000,
  /** Share of the window at which pages leave, and down to which they leave. */
  windowHighShare: 0.8,
  windowLowShare: 0.5,
  /** Share of the window for the lines that tell of turns that left it, and the characters of a call in such a line. */
  memoShare: 0.1,
  memoCallMax: 160,
} as const;
