/**
 * Contract 1: what the edge (protocols) and the runtime (tokens) know of each other, and nothing else.
 *
 * Everything here is plain JSON data: the same values travel in process and, as NDJSON, between an edge and a container
 * of a different version. So: fields are only ever added, readers ignore event kinds and result fields they do not know,
 * and token ids are opaque to the edge. Fields of a job are different: an engine rejects one it does not know (`unsupported`,
 * with `param`), so that nothing asked for is silently left out; an edge leaves out fields that ask for nothing.
 * Whoever encodes events depends on the events alone, never on how many come in one item.
 */

/** Two phases: `submit` decides whether a job can run at all, `Accepted.events` is the run. */
export interface Engine {
  /**
   * Renders, tokenizes, validates and admits one job. Resolves before any queueing, so a caller can still answer with a
   * real status code. An unloaded model is loaded first, as long as the caller's patience for an answer allows.
   * @param signal aborting it, before or after acceptance, ends the job; its pages are free after the running step. A
   *   detached job, once accepted, goes on: only this reading of it ends
   * Rejects with `signal.reason` when aborted before acceptance.
   * @throws EngineError for everything a client did wrong, for a full queue and for a model that is not ready
   */
  submit(job: GenerateJob, signal: AbortSignal): Promise<Accepted>
  /**
   * Reads a detached job, again or for the first time: its events after number `after`, then those to come, each the same
   * as at the first reading (how many come in one item may differ). Any number of readers may do so, for ten minutes after
   * the job has ended at least, unless its owner has more such jobs than others for whom there is no room; a log is whole or the
   * job has failed.
   * @param after `seq` of the last event the reader has; -1 for all
   * @param owner that of the job, or none if it had none
   * @param signal ends this reading, not the job
   * @throws EngineError `job_not_found` for an id that is unknown, forgotten or somebody else's
   */
  attach(
    jobId: string,
    after: number,
    owner: string | undefined,
    signal: AbortSignal,
  ): Promise<Accepted>
  /**
   * Ends the jobs that have this `jobId` or `requestId` and this owner: those that are not accepted yet are refused with an
   * error of kind `cancelled`, the events of the others end with one. @returns whether there was one
   */
  cancel(id: string, owner: string | undefined): Promise<boolean>
  /** One vector for each input. @throws EngineError as `submit`, and `invalid` for a model that does not embed */
  embed(job: EmbedJob, signal: AbortSignal): Promise<Embedded>
  tokenize(job: TokenizeJob, signal: AbortSignal): Promise<Tokenized>
  detokenize(job: DetokenizeJob, signal: AbortSignal): Promise<string>
  /** Every model this engine can name, loaded or not, in the order given at start; the first is the default. */
  models(): Promise<ModelInfo[]>
  /**
   * Makes a model ready again, or frees its memory after its running jobs have ended. Both resolve when that is done and are
   * no news to a model that is there already.
   * @throws EngineError `model_not_found`; `conflict` while the other is under way; `unavailable` when loading fails
   */
  load(model: string): Promise<ModelInfo>
  unload(model: string): Promise<ModelInfo>
  health(): Promise<EngineHealth>
  /** Facts for people about each machine that runs models: system, processor, memory, devices, build. */
  system(): Promise<JsonObject[]>
  /** Counts since the start and the state now, for each loaded model. */
  metrics(): Promise<ModelMetrics[]>
}

export interface Accepted {
  jobId: string
  /** The real id of the model that runs the job, whatever name the request used. */
  model: string
  /** Changes with model, quantization and engine version: `system_fingerprint`. */
  fingerprint: string | null
  /** Tokens of the prompts, each once whatever `n`; `cachedTokens` is an estimate, `usage` says what happened. */
  promptTokens: number
  cachedTokens: number
  /** Jobs ahead of this one; 0 when it starts in the next step. */
  queuePosition: number
  /** Of a detached job: number of its newest event, -1 for none. Events up to it come without waiting. */
  lastSeq?: number
  /**
   * Single use. An item is the events of one or more engine steps for this job, never empty. A run ends with one `finish`
   * per choice and then one `usage`, or with one `error`. Returning early (`break`) does as the signal does: after an abort
   * it ends without further events. A reader that takes nothing for a minute gets an `error` of kind `timeout`; a detached
   * job does not wait for its readers. It never throws: a lost upstream is an `error` event of kind `unavailable`.
   */
  events: AsyncIterable<GenerateEvent[]>
}

/** One request for generated text: one prompt (or a batch of them), `n` choices each. */
export interface GenerateJob {
  /** Real id, alias, or `default`. */
  model: string
  prompt: ChatPrompt | TextPrompt
  /** Choices per prompt; the prompt is prefilled once and its pages are shared. */
  n: number
  /** >= 0, per choice; 0 finishes with `length` after prefill; cut to the context length, which is also the default. */
  maxTokens?: number
  sampling: SamplingOptions
  /** Strings that end the visible text (not reasoning, nor calls); the match is not part of the output and no part of it is ever sent. */
  stop: string[]
  /** Generate past end-of-text tokens (benchmarks); `invalid` with a grammar or required tools. */
  ignoreEos?: boolean
  /** The visible text is of this language, from its first token; reasoning before it is free. With tools, a call may take its place. */
  grammar?: Grammar
  /** Most tokens of reasoning, per choice; then the block is closed in the model's own format. Says nothing to a model without. */
  maxReasoningTokens?: number
  /**
   * Drop the front of a prompt that is too long, instead of refusing it: whole turns, the system turn kept where possible,
   * until there is room for `maxTokens` or, without it, one token.
   */
  truncatePrompt?: boolean
  /** Send `logprobs` with text events: `top` alternatives (0-20) beside the chosen token. */
  logprobs?: { top: number }
  /** Also report the prompt's own tokens with their logprobs (legacy completions `echo` with `logprobs`); turns prefix hits off. */
  promptLogprobs?: boolean
  /** Emit `progress` events while queued and in prefill. */
  progress?: boolean
  /** Lower runs first; default 0. */
  priority?: number
  /** Prefix-cache pages are shared only between jobs of the same salt. */
  cacheSalt?: string
  /** Names the request in logs and for `cancel`. */
  requestId?: string
  /** Opaque name of who asks: jobs of different owners take turns in the queue, and only the owner may cancel or attach. */
  owner?: string
  /** The job outlives its readers, and its events are kept for `attach`. */
  detach?: boolean
  /** Names a detached job; absent: the engine picks one. A second submit of the same id and owner attaches to the first. */
  jobId?: string
}

export interface ChatPrompt {
  kind: 'chat'
  messages: ChatMessage[]
  /**
   * Calls are read from the output only where there are tools. A call begins with its complete name, which must be one of
   * those that may be called; from then on what the model writes is its arguments. Everything else is text.
   */
  tools?: ToolDefinition[]
  /**
   * Default `auto` over all tools. `required`: after reasoning nothing but calls, at least one; `invalid` with a grammar.
   * `none`: the tools are shown to the model, and not called. `names`: these only may be called.
   */
  toolChoice?: { mode: 'auto' | 'required' | 'none'; names?: string[] }
  /** false: the answer ends with its first call. Default true. */
  parallelToolCalls?: boolean
  /** false continues the last assistant message instead of opening a new turn. Default true. */
  addGenerationPrompt?: boolean
  /** Whether and how hard to think, in the template's own terms. */
  reasoning?: { enabled?: boolean; effort?: 'low' | 'medium' | 'high' | 'xhigh' }
  /** Extra variables for the chat template; they win over what the engine sets. */
  templateOptions?: JsonObject
}

/** Raw prompts, no template; an empty one is the end-of-text token. Choice `index` of prompt p and sample j is `p * n + j`. */
export interface TextPrompt {
  kind: 'text'
  prompts: (string | number[])[]
  /** Text after the gap that the output fills; `invalid` for a model without fill-in-the-middle tokens. */
  suffix?: string
}

/** A function in the shape chat templates read, or a tool whose input is text. */
export type ToolDefinition = FunctionTool | CustomTool

/** `arguments` of its calls are the text itself. */
export interface CustomTool {
  type: 'custom'
  name: string
  description?: string
  format?: Grammar
}

export type FunctionTool = {
  type: 'function'
  function: {
    name: string
    description?: string
    /** JSON schema of the arguments. */
    parameters?: JsonObject
    /** Arguments are constrained to the schema. */
    strict?: boolean
  }
}

/** Languages the output can be held to. JSON is written without insignificant white space other than single spaces. */
export type Grammar =
  | { type: 'json_object' }
  | { type: 'json_schema'; schema: JsonObject | boolean }
  /** Matches the whole text. */
  | { type: 'regex'; pattern: string }
  | { type: 'choice'; choices: string[] }
  /** llama.cpp's grammar notation; the rule is `root`. */
  | { type: 'gbnf'; grammar: string }
  /** The rule is `start`. */
  | { type: 'lark'; grammar: string }

/** As the client said it: the engine merges and renames turns, and fits ids and names, as the template needs. */
export interface ChatMessage {
  role: string
  /** Text parts are already joined by the edge when there is nothing but text. */
  content: string | ContentPart[] | null
  name?: string
  toolCalls?: { id: string; name: string; arguments: string }[]
  toolCallId?: string
  reasoning?: string
}

export type ContentPart = { type: 'text'; text: string } | MediaPart

export type Modality = 'image' | 'audio' | 'video' | 'file'

/** Where the media is, as the client said: the engine fetches it, within its limits and from public addresses only. */
export interface MediaPart {
  type: Modality
  source: { kind: 'data'; mimeType: string; base64: string } | { kind: 'url'; url: string }
  /** How finely an image is read. */
  detail?: 'low' | 'high' | 'auto'
  filename?: string
}

/** Absent fields take the model's own defaults (generation_config.json), then the neutral value in brackets. */
export interface SamplingOptions {
  /** >= 0; below 1e-7 is greedy [1]. */
  temperature?: number
  /** <= 0 is off [0]. */
  topK?: number
  /** (0, 1] [1]. */
  topP?: number
  /** [0, 1] relative to the best token's probability [0]. */
  minP?: number
  /** [-2, 2], over generated tokens [0]. */
  frequencyPenalty?: number
  presencePenalty?: number
  /** Penalizes what would repeat a run of earlier tokens ("don't repeat yourself"), before the other penalties. */
  dry?: {
    /** > 0; the penalty is multiplier * base ** (length of the repeated run - allowedLength). */
    multiplier: number
    /** >= 1 [1.75]. */
    base?: number
    /** Longest run that is not penalized [2]. */
    allowedLength?: number
    /** Runs do not reach across these ["\\n", ":", '"', "*"]. */
    sequenceBreakers?: string[]
  }
  /** > 0, over prompt and generated tokens [1]. */
  repetitionPenalty?: number
  /** [token id, bias], added to the logits; -100 and below bans. */
  logitBias?: [number, number][]
  /** Same seed, model and request: same text, whoever else is served. Absent: drawn by the engine. Integers are taken mod 2^53, non-negative. */
  seed?: number
}

/**
 * `v` is the version of the event format, `seq` counts the events of a job from 0 without holes, `index` names the choice.
 * Unknown kinds must be ignored.
 *
 * Every token of a choice counts, drawn or forced by a grammar or a budget. With logprobs each is listed once, in order, in
 * the event that carries its last byte of text (`text` may be empty), markup in the next event of the block it opens or the
 * last of the one it closes; the ending token and tokens wholly inside a matched stop string are not listed. `prompt_logprobs` come before the
 * first text of their prompt, with `index` = p * n, one entry per prompt token, in one event or several.
 */
export type GenerateEvent = { v: 1; seq: number } & (
  | { kind: 'text'; index: number; text: string; logprobs?: TokenLogprob[] }
  | { kind: 'reasoning'; index: number; text: string; logprobs?: TokenLogprob[] }
  /**
   * A piece of a tool call. `call` counts the calls of a choice from 0; `id` (24 letters and digits, unique) and `name` come
   * once, with its first piece; the pieces of `arguments` make JSON, unless the model failed to write it or was cut off.
   */
  | {
      kind: 'tool_call_delta'
      index: number
      call: number
      id?: string
      name?: string
      arguments: string
      logprobs?: TokenLogprob[]
    }
  | { kind: 'prompt_logprobs'; index: number; logprobs: TokenLogprob[] }
  /** Sent only when the job asked for progress. */
  | { kind: 'progress'; queuePosition: number; promptTokensDone: number; promptTokens: number }
  | { kind: 'finish'; index: number; reason: FinishReason; stopString?: string }
  | ({ kind: 'usage' } & Usage)
  | { kind: 'error'; error: EngineErrorData }
)

export type FinishReason = 'stop' | 'length' | 'tool_calls'

export interface Usage {
  promptTokens: number
  cachedTokens: number
  /** Sampled tokens over all choices, reasoning and the ending token included. */
  completionTokens: number
  reasoningTokens: number
  /** Wall-clock milliseconds from admission to the first token, and from there to the end. */
  promptMs: number
  completionMs: number
}

/**
 * One sampled (or prompt) token. `bytes` are its raw UTF-8 bytes, which may be part of a character; `token` is their
 * lossy text. Log-probabilities are natural logs of the raw model distribution, -9999 for minus infinity.
 */
export interface TokenLogprob {
  id: number
  token: string
  bytes: number[]
  /** null only for the first token of a prompt. */
  logprob: number | null
  /** Best first. */
  top: { id: number; token: string; bytes: number[]; logprob: number }[]
}

export interface EmbedJob {
  model: string
  /** Text or token ids, none empty. */
  inputs: (string | number[])[]
  /** Keep the first so many numbers, scaled to length 1 again (Matryoshka); at most the model's own. */
  dimensions?: number
  /** Cut the end of an input that is too long, instead of refusing it. */
  truncate?: boolean
  requestId?: string
  owner?: string
}

export interface Embedded {
  model: string
  /** In the order of the inputs: little-endian float32 as base64, each vector of length 1. */
  embeddings: string[]
  promptTokens: number
}

export interface TokenizeJob {
  model: string
  prompt: ChatPrompt | { kind: 'text'; text: string }
  /** Default true. */
  addSpecialTokens?: boolean
  pieces?: boolean
  /** Also return the rendered chat template. */
  rendered?: boolean
  /** Leave `tokens` empty. */
  countOnly?: boolean
}

export interface Tokenized {
  model: string
  count: number
  tokens: number[]
  /** Raw text of each token, when asked for. */
  pieces?: string[]
  rendered?: string
  maxModelLen: number
}

export interface DetokenizeJob {
  model: string
  tokens: number[]
  skipSpecialTokens?: boolean
}

export interface ModelInfo {
  id: string
  aliases: string[]
  status: 'loading' | 'loaded' | 'unloaded' | 'failed'
  /** Unix seconds. */
  created: number
  maxModelLen: number | null
  /** For example `q4_1` or `bf16`; null while unknown. */
  quantization: string | null
  /** Number of ids `logitBias` may name; null while unknown. */
  vocabSize: number | null
  /** Changes with model, quantization and engine version: `system_fingerprint`. */
  fingerprint: string | null
  /** What it takes beside text. */
  inputModalities: Modality[]
  /** Numbers in an embedding; null for a model that generates. */
  embeddingSize: number | null
}

/** Counters only grow; the rest is the state now. */
export interface ModelMetrics {
  model: string
  running: number
  waiting: number
  /** Sequences that can run at once. */
  capacity: number
  kvPagesUsed: number
  kvPagesTotal: number
  promptTokens: number
  /** Of the prompt tokens, those the prefix cache gave. */
  cachedTokens: number
  generatedTokens: number
  prefixLookups: number
  prefixHits: number
  prefixEvictions: number
  preemptions: number
  /** Sequences by how they ended: a finish reason, `aborted` or `error`. */
  completed: Record<string, number>
  /** Jobs by why they were refused: an error kind. */
  rejected: Record<string, number>
}

export interface EngineHealth {
  ready: boolean
  /** Present while not ready, or when shutting down. */
  reason?: 'loading' | 'draining' | 'failed'
  detail?: string
  running: number
  waiting: number
  /** Pages held by jobs; pages kept only by the prefix cache count as free. */
  kvPagesUsed: number
  kvPagesTotal: number
}

/** What went wrong, as data: it crosses processes. The edge maps `kind` to a status and a protocol's own code. */
export interface EngineErrorData {
  kind: EngineErrorKind
  message: string
  /** Path of the offending request field in terms of GenerateJob, for example `sampling.logitBias`. */
  param?: string
  retryAfterMs?: number
}

export type EngineErrorKind =
  /** A field of the job is wrong for this model. */
  | 'invalid'
  /** This engine, perhaps of an older version, does not know a field, or does not do what it asks. */
  | 'unsupported'
  | 'too_large'
  | 'model_not_found'
  | 'context_length'
  | 'job_not_found'
  /** The model takes no such media, or the media cannot be decoded. */
  | 'unsupported_media'
  /** The address of the media is forbidden, does not answer, or has too much to say. */
  | 'unreachable_media'
  | 'invalid_grammar'
  /** Something else is being done to the model. */
  | 'conflict'
  /** By `cancel`. */
  | 'cancelled'
  /** Queue full. */
  | 'busy'
  | 'loading'
  | 'draining'
  /** Engine or upstream not reachable. */
  | 'unavailable'
  | 'timeout'
  | 'internal'

export class EngineError extends Error {
  readonly kind: EngineErrorKind
  readonly param: string | undefined
  readonly retryAfterMs: number | undefined

  constructor(data: EngineErrorData, options?: ErrorOptions) {
    super(data.message, options)
    this.name = 'EngineError'
    this.kind = data.kind
    this.param = data.param
    this.retryAfterMs = data.retryAfterMs
  }

  toData(): EngineErrorData {
    return {
      kind: this.kind,
      message: this.message,
      ...(this.param !== undefined && { param: this.param }),
      ...(this.retryAfterMs !== undefined && { retryAfterMs: this.retryAfterMs }),
    }
  }
}

export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject
export type JsonObject = { [key: string]: JsonValue }
