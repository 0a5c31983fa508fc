import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

/**
 * Compute threads by default: physical cores this process may use (CPU affinity and cgroup `cpu.max` count), at least 1.
 * Two hardware threads of a core share the units the kernels saturate, so logical cores would only add barriers.
 */
export function defaultThreads(): number {
  const allowed = allowedCpus()
  const cores = new Set(allowed.map(cpu => siblings(cpu)))
  const physical = cores.size > 0 ? cores.size : availableParallelism()
  return Math.max(1, Math.min(physical, availableParallelism(), cgroupCpus()))
}

/** CPUs in this process's affinity mask; empty where the system does not tell. */
function allowedCpus(): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(read('/proc/self/status'))?.[1] ?? ''
  return list
    .split(',')
    .filter(Boolean)
    .flatMap(range => {
      const [first = 0, last = first] = range.split('-').map(Number)
      return Array.from({ length: last - first + 1 }, (_, i) => first + i)
    })
}

function siblings(cpu: number): string {
  const path = `/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`
  return read(path).trim() || String(cpu)
}

/** Whole CPUs granted by cgroup v2 or v1; Infinity without a limit. */
function cgroupCpus(): number {
  const [quota = '', period = ''] = read('/sys/fs/cgroup/cpu.max').trim().split(/\s+/)
  if (quota !== '' && quota !== 'max')
    return Math.max(1, Math.floor(Number(quota) / Number(period)))
  const quotaV1 = Number(read('/sys/fs/cgroup/cpu/cpu.cfs_quota_us') || -1)
  const periodV1 = Number(read('/sys/fs/cgroup/cpu/cpu.cfs_period_us') || 0)
  return quotaV1 > 0 && periodV1 > 0 ? Math.max(1, Math.floor(quotaV1 / periodV1)) : Infinity
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
