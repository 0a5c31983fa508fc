import { createApp } from '../../edge/app.ts'
import type { AppDeps, LogEntry } from '../../edge/deps.ts'
import { randomId } from '../../edge/http/randomId.ts'
import {
  createScriptedEngine,
  type ScriptedEngine,
  type ScriptedOptions,
} from '../../edge/scripted/scriptedEngine.ts'
import { DetachedJobs } from '../../runtime/engine/detachedJobs.ts'
import { staticFile } from '../../runtime/host/staticFiles.ts'

/** What a behaviour test needs to be different from the defaults. */
export interface Scenario {
  engine?: ScriptedOptions
  app?: Partial<Omit<AppDeps, 'engine' | 'log'>>
}

/** A running server in front of a scripted engine, wherever its parts run. */
export interface Deployment {
  /** @param path begins with `/` */
  fetch(path: string, init?: RequestInit): Promise<Response>
  engine: ScriptedEngine
  log: LogEntry[]
  close(): Promise<void>
}

export type Deploy = (scenario: Scenario) => Promise<Deployment>

export const appDefaults = {
  assets: staticFile,
  limits: { maxBodyBytes: 100_000 },
  cors: { origins: ['*'] },
  hosts: [],
  clock: Date.now,
  newId: randomId,
  keepAliveMs: 10_000,
  strictOpenai: false,
}

/** Edge and engine in this process, without a network. */
export const deployInProcess: Deploy = async scenario => {
  const engine = createScriptedEngine(scenario.engine)
  const log: LogEntry[] = []
  const app = createApp({
    ...appDefaults,
    ...scenario.app,
    engine: new DetachedJobs(engine),
    log: entry => log.push(entry),
  })
  return {
    engine,
    log,
    fetch: async (path, init) => app.request(path, init),
    close: async () => {},
  }
}
