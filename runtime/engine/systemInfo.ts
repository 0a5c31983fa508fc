import { arch, availableParallelism, cpus, freemem, platform, release, totalmem } from 'node:os'
import type { JsonObject } from '../../edge/engine.ts'
import { loadNative } from '../loadNative.ts'

/** Facts about this machine, for people. Memory in bytes. */
export function systemInfo(): JsonObject {
  const native = loadNative()
  const { brand, isas } = native.cpuInfo()
  const gpu = native.gpuInfo()
  return {
    os: platform(),
    kernel: release(),
    arch: arch(),
    cpu: { brand, logical_cores: cpus().length, usable_cores: availableParallelism(), isas },
    memory: { total_bytes: totalmem(), free_bytes: freemem() },
    devices: gpu
      ? [
          {
            name: gpu.name,
            architecture: gpu.isa,
            total_bytes: gpu.totalBytes,
            free_bytes: gpu.freeBytes,
          },
        ]
      : [],
    build: { node: process.version },
  }
}
