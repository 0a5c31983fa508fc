import type { RouteDeps } from '../deps.ts'
import type { ResponseStore } from './responseStore.ts'

/** What the routes of the Responses API need. */
export type ResponsesDeps = RouteDeps & { store: ResponseStore }
