import type { Context } from 'hono'
import type { AppEnv } from './requestScope.ts'

interface WaitUntil {
  waitUntil(promise: Promise<unknown>): void
}

/**
 * Work that goes on when its request has been answered, or its client has left. Its failure is logged.
 * A Worker has about half a minute for it; on Node it takes as long as it takes.
 */
export function workOn(c: Context<AppEnv>, work: () => Promise<unknown>): void {
  const done = work().catch(error => c.var.scope.reportInternalError(error))
  hostOf(c)?.waitUntil(done)
}

function hostOf(c: Context<AppEnv>): WaitUntil | undefined {
  try {
    return c.executionCtx
  } catch {
    // Hono throws where the host has given none.
    return undefined
  }
}
