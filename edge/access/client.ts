import type { KeyLimits } from './keyLimits.ts'

/** Who asks, as far as a key tells. */
export interface Client {
  /** Unique, and the same at every edge: the `owner` of the client's jobs. */
  name: string
  /** Ids of the models it may use; absent: all. */
  models?: ReadonlySet<string>
  /** May load and unload models. */
  admin: boolean
  limits?: KeyLimits
}
