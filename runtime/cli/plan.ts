import type { Command } from 'commander'
import { prepareModel } from '../models/loadModel.ts'
import { findModel } from './loadEngine.ts'
import { createLog } from './log.ts'
import { addModelOptions, type ModelOptions } from './options.ts'
import { createProgress } from './progress.ts'

interface PlanOptions extends ModelOptions {
  fuse: boolean
}

/** `mistralrs plan`: prints what native code would execute, in the language of docs/plan.md. */
export function planCommand(program: Command): void {
  addModelOptions(program.command('plan'))
    .description('print the compiled plan of a model')
    .option('--no-fuse', 'one op for each line of the model definition')
    .action(async (options: PlanOptions) => {
      const log = createLog('warn', process.stderr)
      const model = await findModel(options, log, createProgress(process.stderr, log.info))
      const prepared = await prepareModel(model.path, {
        fuse: options.fuse,
        ...(options.isq && { isq: options.isq }),
      })
      for (const message of prepared.messages) log.info(message)
      process.stdout.write(prepared.plan)
    })
}
