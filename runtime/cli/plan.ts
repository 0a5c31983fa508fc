import { writeFile } from 'node:fs/promises'
import { prepareModel } from '../models/loadModel.ts'
import type { WeightPart, WeightSpec } from '../native.ts'
import { findModel } from './loadEngine.ts'
import { createLog } from './log.ts'
import type { ModelOptions } from './options.ts'
import { createProgress } from './progress.ts'

export interface PlanOptions extends ModelOptions {
  fuse: boolean
  weights?: string
}

/** `mistralrs plan`: prints what native code would execute, in the language of docs/plan.md. */
export async function plan(options: PlanOptions): Promise<number> {
  const log = createLog(options.verbose > 0 ? 'debug' : 'warn', process.stderr)
  const model = await findModel(options, log, createProgress(process.stderr, log.notice))
  const prepared = await prepareModel(model.path, {
    fuse: options.fuse,
    ...(options.isq && { isq: options.isq }),
  })
  for (const message of prepared.messages) log.info(message)
  if (options.weights !== undefined) {
    await writeFile(options.weights, weightsManifest(prepared.weights))
  }
  process.stdout.write(prepared.plan)
  return 0
}

/** One line for each part of each weight. Format: native/tools/plan_run_files.h. */
export function weightsManifest(weights: readonly WeightSpec[]): string {
  return weights
    .flatMap(({ name, parts, quantize }) =>
      parts.map(part => {
        const { path, offset, bytes, type, rows, cols } = part
        const fields = [name, path, offset, bytes, type, rows, cols, ...transforms(part)]
        if (quantize !== undefined) fields.push(`quantize=${quantize}`)
        return `${fields.join('\t')}\n`
      }),
    )
    .join('')
}

function transforms({ transforms = [] }: WeightPart): string[] {
  return transforms.map(transform =>
    transform.kind === 'addScalar' ? `add=${transform.value}` : `unpermute=${transform.heads}`,
  )
}
