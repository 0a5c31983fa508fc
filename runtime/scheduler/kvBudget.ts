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
  /** Part of what is left beside the weights that the cache may take; default half. */
  memoryShare?: number
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
const defaultMemoryShare = 0.5

/**
 * Sizes the KV pool: what `maxSequences` sequences of full length need, at most a share of the memory left beside the
 * weights, or what the user asks for.
 * @throws RangeError when not even a short sequence fits
 */
export function planKvBudget(options: KvBudgetOptions): KvBudget {
  const { groups, pageBytes, maxSequences, maxModelLen, weightBytes, kvBytes } = options
  const memoryShare = options.memoryShare ?? defaultMemoryShare
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
        ? `${100 * memoryShare} % of the ${mebibytes(Math.max(0, available))} left beside the weights`
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

/** Bytes this process can still use: free memory of the machine, within the limits of its cgroups (v2 or v1). */
export function availableMemory(): number {
  const free = Number(/^MemAvailable:\s*(\d+) kB/m.exec(read('/proc/meminfo'))?.[1] ?? 0) * 1024
  let room = free || freemem()
  for (const { folder, max, current } of memoryCgroups()) {
    const limit = Number.parseInt(read(`${folder}/${max}`), 10)
    const used = Number.parseInt(read(`${folder}/${current}`), 10)
    if (Number.isNaN(limit) || Number.isNaN(used)) continue
    // The file cache counts as used, but gives way.
    const stat = read(`${folder}/memory.stat`)
    const cache = Number(/^(?:total_)?inactive_file (\d+)/m.exec(stat)?.[1] ?? 0)
    room = Math.min(room, Math.max(0, limit - used + cache))
  }
  return room
}

/** The process's own cgroup and all above it, each of which may have a limit. */
function* memoryCgroups(): Iterable<{ folder: string; max: string; current: string }> {
  const own = read('/proc/self/cgroup')
  const v2 = { root: '/sys/fs/cgroup', max: 'memory.max', current: 'memory.current' }
  const v1 = {
    root: '/sys/fs/cgroup/memory',
    max: 'memory.limit_in_bytes',
    current: 'memory.usage_in_bytes',
  }
  const paths = [
    { ...v2, path: /^0::(.*)$/m.exec(own)?.[1] ?? '/' },
    { ...v1, path: /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/m.exec(own)?.[1] ?? '/' },
  ]
  for (const { root, path, max, current } of paths) {
    const parts = path.split('/').filter(Boolean)
    for (let n = parts.length; n >= 0; n--) {
      yield { folder: [root, ...parts.slice(0, n)].join('/'), max, current }
    }
  }
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
