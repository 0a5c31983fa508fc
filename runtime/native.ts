/**
 * Contract 2: what the runtime (tokens) and the addon (tensors) know of each other, and nothing else. The addon knows
 * no models, requests or text; docs/plan.md describes the plan language.
 *
 * Symbols: T tokens and B sequences of a batch, L logit rows, S sampled rows, V vocabulary.
 */

export interface NativeBinding {
  /** Version of the plan language the addon executes. */
  readonly planVersion: number
  cpuInfo(): CpuInfo
  /** The device of the `cuda` backend; null when this build has no CUDA kernels or the machine no device. */
  gpuInfo(): GpuInfo | null
  /**
   * Parses and validates the plan, maps the weight files and prepares the weights, all on native threads.
   * @param onProgress bytes of weights prepared so far and in all; at most about ten calls a second
   * A scale or element that is NaN or infinite is `invalid_weights`.
   * @throws NativeError `invalid_plan`, `invalid_weights`, `io` or `out_of_memory`; the message names op, weight or file
   */
  load(
    spec: LoadSpec,
    onProgress?: (doneBytes: number, totalBytes: number) => void,
  ): Promise<NativeModel>
}

export interface CpuInfo {
  brand: string
  /** Kernel variants this machine can run, best first; always ends with `generic`. */
  isas: Isa[]
}

export interface GpuInfo {
  name: string
  /** Compute capability, `sm_90`. */
  isa: string
  totalBytes: number
  /** At the moment of the call. */
  freeBytes: number
}

export type Isa = 'generic' | 'avx2' | 'avx512'

export type Backend = 'reference' | 'cpu' | 'cuda'

export interface LoadSpec {
  /** A plan in the text form of docs/plan.md. */
  plan: string
  weights: WeightSpec[]
  /** `reference`: plain C++ in float32, no tricks, the oracle. `cpu`: the fast kernels. `cuda`: the first NVIDIA device. */
  backend: Backend
  /** Kernel variant of the `cpu` backend; default the best one. */
  isa?: Isa
  /** Compute threads, including none for JavaScript; results do not depend on it. With `cuda` they load weights and sample. */
  threads: number
  /** Largest T, B and L of any batch, and slots open at once. */
  maxTokens: number
  maxSequences: number
  maxLogitRows: number
  maxSlots: number
  kv: KvPoolSpec
}

/**
 * One pool of equal pages serves all KV groups; a group of the plan packs `page_tokens` tokens into a page. `pageBytes` is a
 * multiple of 64 and at least layers * page_tokens * kv_heads * head_dim * 2 * element bytes of every group; layer i of a
 * group (0 .. layers-1) has the i-th equal part, what is left over is unused. f16 rounds to nearest even.
 */
export interface KvPoolSpec {
  numPages: number
  pageBytes: number
  type: 'f32' | 'f16'
  /** Fill the pool with NaN first, so that a read of a slot never written shows (tests). */
  poison?: boolean
}

/** A tensor in the layout the plan expects ([rows, cols], row-major), as slices of files and what to do with them. */
export interface WeightSpec {
  /** Name in the plan. */
  name: string
  rows: number
  cols: number
  /** Stacked along rows, in order. */
  parts: WeightPart[]
  /**
   * Quantize while loading (in-situ quantization), in both backends. It applies to the weight as an operand of linear ops;
   * `embed` always reads the stored values. cols must be a multiple of the type's block: the caller picks the fallback.
   */
  quantize?: 'Q4_K' | 'Q5_0' | 'Q6_K' | 'Q8_0'
}

export interface WeightPart {
  path: string
  /** Absolute byte offset in the file and length of the slice. */
  offset: number
  bytes: number
  type: TensorType
  rows: number
  cols: number
  /** Applied in order. */
  transforms?: WeightTransform[]
}

export type WeightTransform =
  /**
   * Undoes the row order llama.cpp gives to Q and K of models with interleaved rotary pairs: within each of `heads`
   * equal runs of rows, source row 2i+j becomes row j*(n/2)+i.
   */
  | { kind: 'unpermuteRows'; heads: number }
  /** Adds a constant to every element; float types only. */
  | { kind: 'addScalar'; value: number }

export type FloatType = 'F32' | 'F16' | 'BF16'
export type QuantizedType =
  | 'Q4_0'
  | 'Q4_1'
  | 'Q5_0'
  | 'Q5_1'
  | 'Q8_0'
  | 'Q2_K'
  | 'Q3_K'
  | 'Q4_K'
  | 'Q5_K'
  | 'Q6_K'
  | 'IQ4_NL'
  | 'IQ4_XS'
export type TensorType = FloatType | QuantizedType

/**
 * A loaded model. Calls are queued and executed one after the other in call order, on native threads; several may be in
 * flight, so step N+1 can be queued before the sample of step N is known (`StepBatch.tokens`). Typed arrays are copied
 * at the call, so the caller may reuse them at once. A method that returns a promise reports errors only by rejecting it.
 *
 * A rejected call changes no slot. A rejected `forward` leaves no logits: every `sample`, `score` and `readLogits` queued
 * before the next successful `forward` rejects with the same code, and so does a `forward` that names a slot whose newest
 * queued `sample` rejected; the cache is then undefined at that forward's own positions only. Several `sample` and
 * `score` calls may follow one `forward`, each for other slots.
 */
export interface NativeModel {
  readonly info: {
    backend: string
    /** Kernel variant, or the compute capability of the device. */
    isa: string
    threads: number
    weightBytes: number
    kvBytes: number
  }
  /**
   * Runs the plan over a batch. The logits stay inside until the next `forward`.
   * @param stopAfterOp index of the last op to run (debugging); `readBuffer` shows what it left
   * @throws NativeError `invalid_batch` (a wrong index, page or count; nothing ran) or `interrupted`
   */
  forward(batch: StepBatch, stopAfterOp?: number): Promise<StepStats>
  /** Draws one token for each row named, from the logits of the last `forward` queued before this call. */
  sample(batch: SampleBatch): Promise<SampleResult>
  /** Log-probabilities of given tokens at logit rows of the last `forward` (prompt logprobs). */
  score(batch: ScoreBatch): Promise<ScoreResult>
  /** One row of logits of the last `forward`, [V]. */
  readLogits(row: number): Promise<Float32Array>
  /** Contents of a plan buffer after the last `forward`, rows x width (debugging: later ops may have reused it). */
  readBuffer(name: string): Promise<Float32Array>
  /**
   * Reserves a sampling slot: last token, penalty counts, parameters. The id is valid at once; opening takes its place in
   * the queue like every call, so an id closed before may be given again at once and no longer counts as open.
   * @throws NativeError `no_slot`
   */
  openSlot(options: SlotOptions): number
  /** Releases a slot after everything queued so far. */
  closeSlot(slot: number): void
  /** Copies pages inside the pool (`from[i]` to `to[i]`, no page twice in `to` nor in both), after everything queued so far. */
  copyPages(from: Int32Array, to: Int32Array): Promise<void>
  /** Makes the running and every queued call reject with `interrupted`, within the running op (`cuda`: step); later calls run again. */
  interrupt(): void
  /** Interrupts, waits for the threads and frees all memory. Later calls throw. */
  dispose(): Promise<void>
}

/**
 * Sequences lie one after the other: sequence b owns tokens queryStart[b] .. queryStart[b+1]-1, at consecutive positions.
 * All keys and values of a layer are stored before any of its rows attends, so a row may read pages that another sequence
 * of the same batch fills; no two rows write the same place.
 */
export interface StepBatch {
  /** [T] token id, or -(slot + 1): the last sample of that slot; a slot that never sampled is `invalid_batch`. */
  tokens: Int32Array
  /** [T] position in its sequence. */
  positions: Int32Array
  /** [B + 1] */
  queryStart: Int32Array
  /** [B] tokens of the sequence in the cache once this batch is written: last position + 1. */
  kvLength: Int32Array
  /** One per KV group of the plan. */
  pageTables: PageTable[]
  /** [L] rows of the batch (0..T-1), any, in any order and repeated if wanted, whose logits are kept. L may be 0. */
  logitRows: Int32Array
}

/** Token p of sequence b is in page `pages[start[b] + floor(p / page_tokens)]`; -1 for a page freed behind the window. */
export interface PageTable {
  /** [B + 1] */
  start: Int32Array
  pages: Int32Array
}

export interface StepStats {
  /** Wall time on the native side, without queueing. */
  ms: number
}

/**
 * How a token is drawn. Order: mask, DRY, repetition penalty (divides positive logits, multiplies negative ones, once for each
 * distinct token), frequency and presence penalty, bias, temperature and softmax, top-k, top-p, min-p. Probabilities are
 * not renormalised between filters: top-p keeps the smallest best-first set whose sum reaches topP (ties by lower id), min-p
 * keeps p >= minP * best.
 */
export interface SlotOptions {
  /** Below 1e-7: greedy, ties to the lowest id. */
  temperature: number
  /** <= 0: off. */
  topK: number
  /** 1: off. */
  topP: number
  /** 0: off. */
  minP: number
  /** Over tokens sampled in this slot. */
  frequencyPenalty: number
  presencePenalty: number
  /** Over the tokens of `history` and those sampled; 1: off. */
  repetitionPenalty: number
  history?: Int32Array
  /** Penalizes what would repeat a run of the tokens of `history` and those sampled. */
  dry?: DryOptions
  /** Parallel arrays, added to the logits after the penalties; -Infinity bans. */
  biasIds?: Int32Array
  biasValues?: Float32Array
  /** Integer in [0, 2^53). With `choice` and the position of the drawn token it keys the random number. */
  seed: number
  /** Number of the sample within its prompt, 0 .. n-1. */
  choice: number
  /** Alternatives to report with each sample, 0-20. */
  topLogprobs: number
}

/** A token that goes on with a run of n tokens as before loses multiplier * base ** (n - allowedLength), where n >= allowedLength. */
export interface DryOptions {
  /** 0: off. */
  multiplier: number
  /** >= 1 */
  base: number
  allowedLength: number
  /** Tokens that runs do not reach across; they are not penalized themselves. */
  breakers: Int32Array
}

/** A slot occurs at most once in a call; a row may occur several times with different slots (the choices of one prompt). */
export interface SampleBatch {
  /** [S] index into the logit rows (0..L-1) of the last forward. */
  rows: Int32Array
  /** [S] the slot that draws; becomes its last token. */
  slots: Int32Array
  /** [S] position the drawn token will have in its sequence. */
  positions: Int32Array
  /** [S * ceil(V / 32)] bit set = allowed, for the rows whose flag in `masked` [S] is 1; other rows are ignored. */
  masks?: { words: Uint32Array; masked: Uint8Array }
  /**
   * Tokens known to come after the drawn one, which the slot takes as if it had drawn them too: those of item i are
   * `tokens[start[i]]` .. `tokens[start[i+1]-1]`, `start` is [S + 1]. An item that draws nothing takes none.
   */
  following?: { start: Int32Array; tokens: Int32Array }
}

/** `logprobs` are of the raw model distribution (before penalties, bias and temperature), natural log. */
export interface SampleResult {
  /** [S]; -1 where the logits hold a NaN or nothing is allowed: that slot keeps its state, and a forward already queued for it reads token 0. */
  tokens: Int32Array
  /** [S] */
  logprobs: Float32Array
  /** [S * maxTop], best first, maxTop = the largest `topLogprobs` among the slots; unused entries are -1. */
  topIds: Int32Array
  topLogprobs: Float32Array
  maxTop: number
}

export interface ScoreBatch {
  /** [S] logit rows and the token to score at each. */
  rows: Int32Array
  tokens: Int32Array
  top: number
}
export type ScoreResult = Omit<SampleResult, 'tokens'>

/** Thrown by the addon: an Error whose `code` is one of these and whose message carries op, shapes or file. */
export interface NativeError extends Error {
  code:
    | 'invalid_plan'
    | 'invalid_weights'
    | 'invalid_batch'
    | 'invalid_argument'
    | 'io'
    | 'out_of_memory'
    | 'no_slot'
    | 'interrupted'
    | 'disposed'
    | 'internal'
    /** The device takes no more work from this process: only a new one can use it again. */
    | 'device_lost'
}
