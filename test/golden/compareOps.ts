import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { weightsManifest } from '../../runtime/cli/plan.ts'
import { prepareModel } from '../../runtime/models/loadModel.ts'
import type { Backend } from '../../runtime/native.ts'
import { planRunBatches } from './planRunBatches.ts'

export const planRun = path.join(import.meta.dirname, '../../build/native/plan_run')

export interface CompareOpsOptions {
  backend: Backend
  kvType: 'f16' | 'f32'
  /** Largest ||difference|| / ||expected|| of what an op wrote, and of a row of logits. */
  tolerance: number
}

/**
 * Runs a model's plan op by op on a backend and on the reference, with unused memory poisoned, then whole twice more.
 * @returns the largest distance of each kind of op, as plan_run prints it
 * @throws Error that names the first op beyond the tolerance
 */
export async function compareOps(model: string, options: CompareOpsOptions): Promise<string> {
  const prepared = await prepareModel(model)
  const folder = await mkdtemp(path.join(tmpdir(), 'mistralrs-ops-'))
  try {
    const file = (name: string) => path.join(folder, name)
    await writeFile(file('plan'), prepared.plan)
    await writeFile(file('weights'), weightsManifest(prepared.weights))
    const { kvGroups, config, wholePrompts } = prepared
    await writeFile(file('batch'), planRunBatches(kvGroups, config.vocabSize, wholePrompts))
    const files = ['plan', 'weights', 'batch'].flatMap(name => [`--${name}`, file(name)])
    const { backend, kvType, tolerance } = options
    const { stdout } = await promisify(execFile)(planRun, [
      ...files,
      ...['--backend', backend, '--against', 'reference', '--tolerance', `${tolerance}`],
      ...['--kv', kvType, '--threads', '2', '--poison', '--repeat', '2'],
    ])
    return stdout
  } finally {
    await rm(folder, { recursive: true })
  }
}
