import { arch, availableParallelism, cpus, freemem, platform, release, totalmem } from 'node:os'
import type { JsonObject } from '../../edge/engine.ts'
import { loadNative } from '../loadNative.ts'

/** Facts about this machine, for people. Memory in bytes. */
export function systemInfo(): JsonObject {
  const { brand, isas } = loadNative().cpuInfo()
  return {
    os: platform(),
    kernel: release(),
    arch: arch(),
    cpu: { brand, logical_cores: cpus().length, usable_cores: availableParallelism(), isas },
    memory: { total_bytes: totalmem(), free_bytes: freemem() },
    devices: [],
    build: { node: process.version },
  }
}
