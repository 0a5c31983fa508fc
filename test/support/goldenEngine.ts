import { fileURLToPath } from 'node:url'
import {
  type LocalEngineLoadOptions,
  loadLocalEngine,
} from '../../runtime/engine/createLocalEngine.ts'
import type { LocalEngine } from '../../runtime/engine/localEngine.ts'

export function goldenPath(name: string): string {
  return fileURLToPath(new URL(`../goldens/${name}`, import.meta.url))
}

/** A tiny model on the addon, with a KV pool that shows every read of a place never written. */
export function loadGolden(
  name: string,
  options: Partial<LocalEngineLoadOptions> = {},
): Promise<LocalEngine> {
  return loadLocalEngine({
    path: goldenPath(name),
    id: 'tiny',
    threads: 2,
    maxSeqs: 8,
    maxBatchedTokens: 64,
    kvTokens: 4096,
    kvType: 'f32',
    prefixCache: true,
    poisonKv: true,
    ...options,
  })
}
