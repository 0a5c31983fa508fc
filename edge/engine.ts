/**
 * Contract 1: what the edge (protocols) and the runtime (tokens) know of each other, and nothing else.
 *
 * Everything here is plain JSON data: the same values travel in process and, as NDJSON, between an edge and a container
 * of a different version. So: fields are only ever added, readers ignore event kinds and result fields they do not know,
 * and token ids are opaque to the edge. Fields of a job are different: an engine rejects one it does not know (`invalid`, with
 * `param`), so that nothing asked for is silently left out.
 */

/** Two phases: `submit` decides whether a job can run at all, `Accepted.events` is the run. */
export interface Engine {
  /**
   * Renders, tokenizes, validates and admits one job. Resolves before any queueing, so a caller can still answer with a
   * real status code.
   * @param signal aborting it, before or after acceptance, ends the job; its pages are free after the running step
   * Rejects with `signal.reason` when aborted before acceptance.
   * @throws EngineError for everything a client did wrong, for a full queue and for a model that is not ready
   */
  submit(job: GenerateJob, signal: AbortSignal): Promise<Accepted>
  tokenize(job: TokenizeJob, signal: AbortSignal): Promise<Tokenized>
  detokenize(job: DetokenizeJob, signal: AbortSignal): Promise<string>
  /** Every model this engine can name, loaded or not, in the order given at start; the first is the default. */
  models(): Promise<ModelInfo[]>
  health(): Promise<EngineHealth>
}

export interface Accepted {
  jobId: string
  /** The real id of the model that runs the job, whatever name the request used. */
  model: string
  /** Tokens of the prompts, each once whatever `n`; `cachedTokens` is an estimate, `usage` says what happened. */
  promptTokens: number
  cachedTokens: number
  /** Jobs ahead of this one; 0 when it starts in the next step. */
  queuePosition: number
  /**
   * Single use. An item is the events of one or more engine steps for this job, never empty. A run ends with one `finish`
   * per choice and then one `usage`, or with one `error`. Returning early (`break`) aborts the job, like the signal; after an
   * abort it ends without further events. It never throws: a lost upstream is an `error` event of kind `unavailable`.
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
  /** Strings that end the text; the match is not part of the output and no part of it is ever sent. */
  stop: string[]
  /** Generate past end-of-text tokens (benchmarks). */
  ignoreEos?: boolean
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
  /** Client named by the edge; only for logs. */
  requestId?: string
}

export interface ChatPrompt {
  kind: 'chat'
  messages: ChatMessage[]
  tools?: JsonObject[]
  /** false continues the last assistant message instead of opening a new turn. Default true. */
  addGenerationPrompt?: boolean
  /** Extra variables for the chat template (`enable_thinking`, ...). */
  templateOptions?: JsonObject
}

/** Raw prompts, no template; an empty one is the end-of-text token. Choice `index` of prompt p and sample j is `p * n + j`. */
export interface TextPrompt {
  kind: 'text'
  prompts: (string | number[])[]
}

export interface ChatMessage {
  role: string
  /** Text parts are already joined by the edge when there is nothing but text. */
  content: string | ContentPart[] | null
  name?: string
  toolCalls?: { id: string; name: string; arguments: string }[]
  toolCallId?: string
  reasoning?: string
}

export type ContentPart = { type: 'text'; text: string }

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
 * With logprobs every sampled token is listed once, in order, in the event that carries its last byte of text (`text` may be
 * empty); the ending token and tokens wholly inside a matched stop string are not listed. `prompt_logprobs` come before the
 * first text of their prompt, with `index` = p * n, one entry per prompt token, in one event or several.
 */
export type GenerateEvent = { v: 1; seq: number } & (
  | { kind: 'text'; index: number; text: string; logprobs?: TokenLogprob[] }
  | { kind: 'reasoning'; index: number; text: string; logprobs?: TokenLogprob[] }
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

export interface TokenizeJob {
  model: string
  prompt: ChatPrompt | { kind: 'text'; text: string }
  /** Default true. */
  addSpecialTokens?: boolean
  pieces?: boolean
}

export interface Tokenized {
  model: string
  tokens: number[]
  /** Raw text of each token, when asked for. */
  pieces?: string[]
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
  /** Role names and features the template knows, so the edge can map what it does not. */
  template: { developerRole: boolean } | null
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
  /** A field of the job cannot be honoured. */
  | 'invalid'
  | 'model_not_found'
  | 'context_length'
  | 'unsupported_media'
  | 'invalid_grammar'
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
