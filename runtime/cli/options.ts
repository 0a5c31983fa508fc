import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Isa } from '../native.ts'
import { reasoningFormats } from '../parse/reasoningFormats.ts'
import { toolCallFormats } from '../parse/toolCallFormats.ts'

/** Options of every command that loads a model. */
export interface ModelOptions {
  modelId?: string
  quantizedFile?: string
  revision?: string
  isq?: IsqType
  cpu?: boolean
  threads?: number
  isa?: Isa
  maxSeqs: number
  maxNumBatchedTokens: number
  paContextLen?: number
  paMemoryMb?: number
  paCacheType: 'auto' | 'f16' | 'f32'
  prefixCacheN: number
  chatTemplate?: string
  toolCallParser?: string
  reasoningParser?: string
  seed?: number
  verbose: number
}

export type IsqType = 'q4k' | 'q6k' | 'q8_0'

/** More than any machine has cores. */
const MAX_THREADS = 1024

export function addModelOptions(command: Command, defaults: { maxSeqs: number }): Command {
  return command
    .option(
      '-m, --model-id <id>',
      'model folder, .gguf file or hub id (default: a small demo model)',
      nonEmpty,
    )
    .option('-f, --quantized-file <file>', 'GGUF file, alone or inside -m', nonEmpty)
    .option('--revision <revision>', 'branch, tag or commit of a hub id', nonEmpty)
    .option('--isq <type>', 'quantize float weights while loading: q4k, q6k, q8_0', isqType)
    .option('--cpu', 'run on the CPU even where there is a GPU')
    .option('--threads <n>', 'compute threads (default: physical cores)', integer(1, MAX_THREADS))
    .addOption(
      new Option('--isa <name>', 'CPU kernels to use instead of the best').choices([
        'generic',
        'avx2',
        'avx512',
      ]),
    )
    .option('--max-seqs <n>', 'sequences that run at once', integer(1, 4096), defaults.maxSeqs)
    .option('--max-num-batched-tokens <n>', 'tokens in one step', integer(1, 2 ** 20), 4096)
    .addOption(
      new Option('--pa-context-len <n>', 'KV cache for this many tokens')
        .argParser(integer(1))
        .conflicts('paMemoryMb'),
    )
    .option('--pa-memory-mb <n>', 'KV cache of this many MiB', integer(1))
    .addOption(
      new Option('--pa-cache-type <type>', 'element type of the KV cache')
        .choices(['auto', 'f16', 'f32'])
        .default('auto'),
    )
    .option('--prefix-cache-n <n>', '0 turns the prefix cache off', integer(0), 16)
    .option('-c, --chat-template <file>', 'chat template (.jinja, or .json holding one)', nonEmpty)
    .addOption(
      new Option(
        '--tool-call-parser <name>',
        'how the model writes tool calls (default: as its chat template tells)',
      ).choices(namesOf(toolCallFormats)),
    )
    .addOption(
      new Option(
        '--reasoning-parser <name>',
        'how the model marks its reasoning (default: as its chat template tells)',
      ).choices(namesOf(reasoningFormats)),
    )
}

function namesOf(formats: readonly { name: string }[]): string[] {
  return [...formats.map(({ name }) => name), 'none']
}

/** What no single option can tell. */
export function checkModelOptions(command: Command): void {
  const { modelId, revision } = command.opts<ModelOptions>()
  if (revision !== undefined && modelId === undefined) {
    command.error("error: option '--revision <revision>' needs '-m, --model-id <id>'")
  }
}

/** Parser of an integer of a range. */
export function integer(minimum: number, maximum = Number.MAX_SAFE_INTEGER) {
  const range =
    maximum === Number.MAX_SAFE_INTEGER ? `at least ${minimum}` : `${minimum} to ${maximum}`
  return (text: string): number => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < minimum || value > maximum) {
      throw new InvalidArgumentError(`It must be an integer, ${range}.`)
    }
    return value
  }
}

/** Parser of a comma-separated list of integers of at least `minimum`. */
export function integerList(minimum: number) {
  const parse = integer(minimum)
  return (text: string): number[] => text.split(',').map(item => parse(item.trim()))
}

/** Any u64, as in the other servers of this kind; the engine's seeds have 53 bits. */
export function seed(text: string): number {
  if (!/^\d{1,20}$/.test(text) || BigInt(text) >= 2n ** 64n) {
    throw new InvalidArgumentError('It must be an integer, 0 to 2^64 - 1.')
  }
  return Number(BigInt(text) % 2n ** 53n)
}

export function onOff(text: string): boolean {
  if (text !== 'true' && text !== 'false') throw new InvalidArgumentError('It is true or false.')
  return text === 'true'
}

export function nonEmpty(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It must not be empty.')
  return text
}

/** Parser of a repeatable option. */
export function collect(text: string, previous: string[]): string[] {
  return [...previous, nonEmpty(text)]
}

const ISQ_TYPES: Record<string, IsqType> = {
  q4k: 'q4k',
  q4_k: 'q4k',
  '4': 'q4k',
  q6k: 'q6k',
  q6_k: 'q6k',
  '6': 'q6k',
  q8_0: 'q8_0',
  '8': 'q8_0',
}

function isqType(text: string): IsqType {
  const type = ISQ_TYPES[text.toLowerCase()]
  if (type === undefined) throw new InvalidArgumentError('Allowed choices are q4k, q6k, q8_0.')
  return type
}
