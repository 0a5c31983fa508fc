import { readFileSync } from 'node:fs'
import { freemem } from 'node:os'
import { type KvGroup, longestSequence, pagesForLength } from './pages.ts'

export interface KvBudgetOptions {
  groups: readonly KvGroup[]
  pageBytes: number
  maxSequences: number
  maxModelLen: number
  /** Bytes the weights will take. */
  weightBytes: number
  /** Bytes this process can still use; default what the machine and its cgroup have left. */
  availableBytes?: number
  /** Asked for by the user: taken as it is, up to what could ever be used. */
  kvBytes?: number
}

/** The size of the KV pool and what it can serve. */
export interface KvBudget {
  numPages: number
  bytes: number
  /** Longest sequence, at most what the model allows. */
  maxModelLen: number
  /** Sequences of that length that fit at once. */
  fullLengthSequences: number
  /** What set the size. */
  limitedBy: 'need' | 'memory' | 'option'
}

/** The other half stays for other programs, the file cache and what the model's steps need. */
const memoryShare = 0.5

/**
 * Sizes the KV pool: what `maxSequences` sequences of full length need, at most half of the memory left beside the
 * weights, or what the user asks for.
 * @throws RangeError when not even a short sequence fits
 */
export function planKvBudget(options: KvBudgetOptions): KvBudget {
  const { groups, pageBytes, maxSequences, maxModelLen, weightBytes, kvBytes } = options
  // Beyond the pages of a sequence alone: one under way to be freed per group, so that no step waits for it.
  const perSequence = pagesForLength(groups, maxModelLen) + groups.length
  const needed = perSequence * maxSequences
  const available = (options.availableBytes ?? availableMemory()) - weightBytes
  const affordable = Math.floor((kvBytes ?? memoryShare * available) / pageBytes)
  const numPages = Math.min(needed, affordable)
  const length = longestSequence(groups, numPages, maxModelLen)
  const least = Math.min(minModelLen, maxModelLen)
  if (length < least) {
    const wanted = pagesForLength(groups, least) * pageBytes
    const source =
      kvBytes === undefined
        ? `half of the ${mebibytes(Math.max(0, available))} left beside the weights`
        : `the ${mebibytes(kvBytes)} asked for`
    throw new RangeError(
      `a KV cache for ${least} tokens needs ${mebibytes(wanted)}, more than ${source}`,
    )
  }
  return {
    numPages,
    bytes: numPages * pageBytes,
    maxModelLen: length,
    fullLengthSequences: Math.floor(numPages / pagesForLength(groups, length)),
    limitedBy: numPages === needed ? 'need' : kvBytes === undefined ? 'memory' : 'option',
  }
}

/** A server that cannot hold this much context is better told so at start. */
const minModelLen = 256

/** Bytes this process can still use: free memory of the machine, within the limit of its cgroup (v2 or v1). */
export function availableMemory(): number {
  const free = Number(/^MemAvailable:\s*(\d+) kB/m.exec(read('/proc/meminfo'))?.[1] ?? 0) * 1024
  const machine = free || freemem()
  return Math.min(machine, cgroupRoom(cgroupV2) ?? machine, cgroupRoom(cgroupV1) ?? machine)
}

const cgroupV2 = {
  max: '/sys/fs/cgroup/memory.max',
  current: '/sys/fs/cgroup/memory.current',
  stat: '/sys/fs/cgroup/memory.stat',
}
const cgroupV1 = {
  max: '/sys/fs/cgroup/memory/memory.limit_in_bytes',
  current: '/sys/fs/cgroup/memory/memory.usage_in_bytes',
  stat: '/sys/fs/cgroup/memory/memory.stat',
}

/** The file cache counts as used, but gives way. */
function cgroupRoom(files: typeof cgroupV2): number | undefined {
  const max = Number.parseInt(read(files.max), 10)
  const current = Number.parseInt(read(files.current), 10)
  if (Number.isNaN(max) || Number.isNaN(current)) return undefined
  const cache = Number(/^(?:total_)?inactive_file (\d+)/m.exec(read(files.stat))?.[1] ?? 0)
  return Math.max(0, max - current + cache)
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
