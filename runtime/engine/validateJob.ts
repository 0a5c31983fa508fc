import {
  type ChatPrompt,
  EngineError,
  type GenerateJob,
  type Grammar,
  type SamplingOptions,
  type TextPrompt,
  type ToolDefinition,
} from '../../edge/engine.ts'

/**
 * Checks a job's own fields, apart from any prompt length or model: it may come from an edge of another version.
 * @throws EngineError `invalid` with the field as `param`
 */
export function validateJob(job: GenerateJob, vocabSize: number): void {
  rejectUnknown(job, jobFields, '')
  const { prompt } = job
  if (prompt?.kind === 'chat') {
    rejectUnknown(prompt, chatFields, 'prompt.')
    if (!Array.isArray(prompt.messages)) throw invalid('prompt.messages', 'must be a list')
    optionally(prompt.tools, validateTools)
  } else if (prompt?.kind === 'text') {
    rejectUnknown(prompt, textFields, 'prompt.')
    validatePrompts(prompt.prompts, vocabSize)
    if (!['string', 'undefined'].includes(typeof prompt.suffix)) {
      throw invalid('prompt.suffix', 'must be text')
    }
  } else throw invalid('prompt', 'must be of kind chat or text')
  requireInteger('n', job.n, 1, 2 ** 16)
  optionally(job.maxTokens, value => requireInteger('maxTokens', value, 0))
  optionally(job.priority, value => requireInteger('priority', value, Number.MIN_SAFE_INTEGER))
  if (!Array.isArray(job.stop) || job.stop.some(s => typeof s !== 'string' || s === '')) {
    throw invalid('stop', 'must be a list of non-empty strings')
  }
  if (job.logprobs !== undefined) requireInteger('logprobs.top', job.logprobs.top, 0, 20)
  validateSampling(job.sampling, vocabSize)
  optionally(job.maxReasoningTokens, value => requireInteger('maxReasoningTokens', value, 0))
  optionally(job.grammar, grammar => validateGrammar('grammar', grammar))
  if (prompt.kind === 'chat') validateToolUse(prompt)
  validateTogether(job)
}

function validateTools(tools: ToolDefinition[]): void {
  const isNamed = (tool: ToolDefinition | null) =>
    tool?.type === 'function'
      ? typeof tool.function?.name === 'string'
      : tool?.type === 'custom' && typeof tool.name === 'string'
  if (!Array.isArray(tools) || !tools.every(isNamed)) {
    throw invalid('prompt.tools', 'must be a list of functions and custom tools, each with a name')
  }
}

/** Beyond these single precision would turn logits into infinities, and sampling them into nothing. */
const maxFactor = 100
const maxBias = 1e6
/** Each is looked for in all the vocabulary, for up to 20 ms, while others wait for the text worker. */
const maxBreakers = 100

// Written as records so that the compiler asks for every field of the contract.
const jobFields: Record<keyof GenerateJob, true> = {
  model: true,
  prompt: true,
  n: true,
  maxTokens: true,
  sampling: true,
  stop: true,
  ignoreEos: true,
  logprobs: true,
  promptLogprobs: true,
  progress: true,
  priority: true,
  cacheSalt: true,
  requestId: true,
  owner: true,
  grammar: true,
  maxReasoningTokens: true,
  truncatePrompt: true,
  detach: true,
  jobId: true,
}
const chatFields: Record<keyof Extract<GenerateJob['prompt'], { kind: 'chat' }>, true> = {
  kind: true,
  messages: true,
  tools: true,
  addGenerationPrompt: true,
  templateOptions: true,
  toolChoice: true,
  parallelToolCalls: true,
  reasoning: true,
}
const textFields: Record<keyof TextPrompt, true> = { kind: true, prompts: true, suffix: true }
const samplingFields: Record<keyof SamplingOptions, true> = {
  temperature: true,
  topK: true,
  topP: true,
  minP: true,
  frequencyPenalty: true,
  presencePenalty: true,
  repetitionPenalty: true,
  logitBias: true,
  seed: true,
  dry: true,
}

const grammarFields: Record<Grammar['type'], (grammar: Record<string, unknown>) => boolean> = {
  json_object: () => true,
  json_schema: ({ schema }) =>
    typeof schema === 'boolean' || (typeof schema === 'object' && schema !== null),
  regex: ({ pattern }) => typeof pattern === 'string',
  choice: ({ choices }) => Array.isArray(choices) && choices.every(c => typeof c === 'string'),
  gbnf: ({ grammar }) => typeof grammar === 'string',
  lark: ({ grammar }) => typeof grammar === 'string',
}

function validateGrammar(param: string, grammar: Grammar): void {
  if (!Object.hasOwn(grammarFields, grammar?.type)) {
    throw invalid(
      `${param}.type`,
      `is ${grammar?.type}, which this engine does not know`,
      'unsupported',
    )
  }
  if (!grammarFields[grammar.type](grammar)) {
    throw invalid(param, `of type ${grammar.type} has no well-formed definition`)
  }
}

function validateToolUse({ tools, toolChoice }: ChatPrompt): void {
  for (const [i, tool] of (tools ?? []).entries()) {
    const format = tool.type === 'custom' ? tool.format : undefined
    optionally(format, grammar => validateGrammar(`prompt.tools.${i}.format`, grammar))
  }
  const mode = toolChoice?.mode
  if (mode !== undefined && !['auto', 'required', 'none'].includes(mode)) {
    throw invalid('prompt.toolChoice.mode', `is ${mode}, must be auto, required or none`)
  }
}

/** What cannot all be had. */
function validateTogether({ prompt, grammar, ignoreEos }: GenerateJob): void {
  const isRequired = prompt.kind === 'chat' && prompt.toolChoice?.mode === 'required'
  if (isRequired && grammar !== undefined) {
    throw invalid('prompt.toolChoice', 'requires calls, which leaves no text for the grammar')
  }
  if (ignoreEos && (isRequired || grammar !== undefined)) {
    throw invalid('ignoreEos', 'cannot be combined with a grammar or required tools')
  }
}

function validatePrompts(prompts: unknown, vocabSize: number): void {
  if (!Array.isArray(prompts) || prompts.length === 0) {
    throw invalid('prompt.prompts', 'must be a list of at least one prompt')
  }
  for (const [p, prompt] of prompts.entries()) {
    if (typeof prompt === 'string') continue
    if (!Array.isArray(prompt)) throw invalid(`prompt.prompts.${p}`, 'must be text or token ids')
    for (const id of prompt) requireTokenId(`prompt.prompts.${p}`, id, vocabSize)
  }
}

function validateSampling(sampling: SamplingOptions, vocabSize: number): void {
  if (typeof sampling !== 'object' || sampling === null) throw invalid('sampling', 'is missing')
  rejectUnknown(sampling, samplingFields, 'sampling.')
  const check = (name: keyof SamplingOptions, low: number, high: number) =>
    optionally(sampling[name], value => requireNumber(`sampling.${name}`, value, low, high))
  check('temperature', 0, maxFactor)
  check('topK', -Infinity, Infinity)
  check('minP', 0, 1)
  check('frequencyPenalty', -2, 2)
  check('presencePenalty', -2, 2)
  for (const [name, high] of [
    ['topP', 1],
    ['repetitionPenalty', maxFactor],
  ] as const) {
    const value = sampling[name]
    if (value === undefined) continue
    requireNumber(`sampling.${name}`, value, 0, high)
    if (value === 0) throw invalid(`sampling.${name}`, 'is 0, must be above 0')
  }
  if (sampling.seed !== undefined && !Number.isInteger(sampling.seed)) {
    throw invalid('sampling.seed', `is ${sampling.seed}, must be an integer`)
  }
  optionally(sampling.dry, validateDry)
  for (const [id, bias] of sampling.logitBias ?? []) {
    requireTokenId('sampling.logitBias', id, vocabSize)
    requireNumber('sampling.logitBias', bias, -maxBias, maxBias)
  }
}

function validateDry(dry: NonNullable<SamplingOptions['dry']>): void {
  requireNumber('sampling.dry.multiplier', dry.multiplier, 0, maxFactor)
  optionally(dry.base, base => requireNumber('sampling.dry.base', base, 1, maxFactor))
  optionally(dry.allowedLength, length =>
    requireInteger('sampling.dry.allowedLength', length, 0, 2 ** 20),
  )
  const { sequenceBreakers: breakers } = dry
  const isList = Array.isArray(breakers) && breakers.every(b => typeof b === 'string' && b !== '')
  if (breakers !== undefined && !isList) {
    throw invalid('sampling.dry.sequenceBreakers', 'must be a list of non-empty strings')
  }
  if (isList && breakers.length > maxBreakers) {
    const problem = `holds ${breakers.length} texts, at most ${maxBreakers} may be`
    throw invalid('sampling.dry.sequenceBreakers', problem)
  }
}

function rejectUnknown(value: object, known: object, path: string): void {
  for (const [key, field] of Object.entries(value)) {
    if (!Object.hasOwn(known, key) && field !== undefined) {
      throw invalid(`${path}${key}`, 'is not a field this engine knows', 'unsupported')
    }
  }
}

function optionally<T>(value: T | undefined, check: (value: T) => void): void {
  if (value !== undefined) check(value)
}

function requireTokenId(param: string, id: unknown, vocabSize: number): void {
  if (!Number.isInteger(id) || Number(id) < 0 || Number(id) >= vocabSize) {
    throw invalid(param, `names token id ${id}, must be an integer from 0 to ${vocabSize - 1}`)
  }
}

function requireInteger(
  param: string,
  value: unknown,
  low: number,
  high = Number.MAX_SAFE_INTEGER,
): void {
  if (!Number.isInteger(value)) throw invalid(param, `is ${value}, must be an integer`)
  requireNumber(param, value, low, high)
}

function requireNumber(param: string, value: unknown, low: number, high: number): void {
  if (typeof value !== 'number' || !(value >= low && value <= high)) {
    const range = high === Infinity ? `at least ${low}` : `from ${low} to ${high}`
    throw invalid(param, `is ${value}, must be a number${low === -Infinity ? '' : ` ${range}`}`)
  }
}

function invalid(
  param: string,
  problem: string,
  kind: 'invalid' | 'unsupported' = 'invalid',
): EngineError {
  return new EngineError({ kind, message: `${param} ${problem}`, param })
}
