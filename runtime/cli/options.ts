import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Isa } from '../native.ts'

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
  seed?: number
  verbose: number
}

export type IsqType = 'q4k' | 'q6k' | 'q8_0'

export function addModelOptions(command: Command): Command {
  return command
    .option(
      '-m, --model-id <id>',
      'model folder, .gguf file or hub id (default: a small demo model)',
    )
    .option('-f, --quantized-file <file>', 'GGUF file, alone or inside -m')
    .option('--revision <revision>', 'branch, tag or commit of a hub id')
    .addOption(
      new Option('--isq <type>', 'quantize safetensors weights while loading')
        .choices(['q4k', 'q6k', 'q8_0'])
        .argParser(isqType),
    )
    .option('--cpu', 'run on the CPU (the only backend of this version)')
    .option('--threads <n>', 'compute threads (default: physical cores)', positiveInteger)
    .addOption(
      new Option('--isa <name>', 'CPU kernels to use instead of the best').choices([
        'generic',
        'avx2',
        'avx512',
      ]),
    )
    .option('--max-seqs <n>', 'sequences that run at once', positiveInteger, 32)
    .option('--max-num-batched-tokens <n>', 'tokens in one step', positiveInteger, 4096)
    .addOption(
      new Option('--pa-context-len <n>', 'KV cache for this many tokens')
        .argParser(positiveInteger)
        .conflicts('paMemoryMb'),
    )
    .option('--pa-memory-mb <n>', 'KV cache of this many MB', positiveInteger)
    .addOption(
      new Option('--pa-cache-type <type>', 'element type of the KV cache')
        .choices(['auto', 'f16', 'f32'])
        .default('auto'),
    )
    .option('--prefix-cache-n <n>', '0 turns the prefix cache off', nonNegativeInteger, 16)
    .option('-c, --chat-template <file>', 'chat template (.jinja, or .json holding one)')
    .option('--seed <n>', 'seed of requests that bring none', nonNegativeInteger)
    .option('-v, --verbose', 'more log lines', (_value: string, count: number) => count + 1, 0)
}

export function positiveInteger(text: string): number {
  return integer(text, 1)
}

export function nonNegativeInteger(text: string): number {
  return integer(text, 0)
}

/** Comma-separated list of integers of at least `minimum`. */
export function integerList(minimum: number): (text: string) => number[] {
  return text => text.split(',').map(item => integer(item, minimum))
}

function integer(text: string, minimum: number): number {
  const value = Number(text)
  if (!/^\d+$/.test(text.trim()) || !Number.isSafeInteger(value) || value < minimum) {
    throw new InvalidArgumentError(`must be an integer of at least ${minimum}.`)
  }
  return value
}

/** `q4k`, `Q4K`, `4` and the like. */
function isqType(text: string): IsqType {
  const byName: Record<string, IsqType> = {
    q4k: 'q4k',
    q4_k: 'q4k',
    '4': 'q4k',
    q6k: 'q6k',
    q6_k: 'q6k',
    '6': 'q6k',
    q8_0: 'q8_0',
    '8': 'q8_0',
  }
  const type = byName[text.toLowerCase()]
  if (type === undefined) throw new InvalidArgumentError('Allowed choices are q4k, q6k, q8_0.')
  return type
}
