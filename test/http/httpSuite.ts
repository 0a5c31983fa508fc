import { describe, test } from 'vitest'
import { cancelCases } from './cancelCases.ts'
import { codexCases } from './codexCases.ts'
import type { Deploy, Deployment, Scenario } from './deployment.ts'
import { disconnectCases } from './disconnectCases.ts'
import { documentedFetch } from './documented.ts'
import { embeddingCases } from './embeddingCases.ts'
import { errorCases } from './errorCases.ts'
import { headerCases } from './headerCases.ts'
import { keyCases } from './keyCases.ts'
import { messageCases } from './messageCases.ts'
import { mistakeCases } from './mistakeCases.ts'
import { pageCases } from './pageCases.ts'
import { responseCases } from './responseCases.ts'
import { routeCases } from './routeCases.ts'
import { streamCases } from './streamCases.ts'
import { utilityCases } from './utilityCases.ts'

/** One promise the server makes over HTTP. */
export interface HttpCase {
  name: string
  scenario?: Scenario
  run(deployment: Deployment): Promise<void>
}

const suite: Record<string, HttpCase[]> = {
  routes: routeCases,
  headers: headerCases,
  errors: errorCases,
  streams: streamCases,
  disconnects: disconnectCases,
  mistakes: mistakeCases,
  responses: [...responseCases, ...codexCases],
  messages: messageCases,
  utilities: utilityCases,
  embeddings: embeddingCases,
  cancelling: cancelCases,
  pages: pageCases,
  keys: keyCases,
}

/** Runs the behaviour of the HTTP interface, the same everywhere and as documented, against one kind of deployment. */
export function defineHttpSuite(name: string, deploy: Deploy): void {
  describe(name, () => {
    for (const [topic, cases] of Object.entries(suite)) {
      describe(topic, () => {
        for (const { name, scenario, run } of cases) {
          test(name, async () => {
            const deployment = await deploy(scenario ?? {})
            try {
              await run({ ...deployment, fetch: documentedFetch(deployment.fetch) })
            } finally {
              await deployment.close()
            }
          })
        }
      })
    }
  })
}

export function post(body: unknown, init?: RequestInit): RequestInit {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const headers = { 'content-type': 'application/json' }
  return { method: 'POST', body: text, headers, ...init }
}

/** Waits for something that another part of the system does on its own. */
export async function eventually(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (condition()) return
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  throw new Error(`still not true after five seconds: ${condition}`)
}
