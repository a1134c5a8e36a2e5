import type { KindCatalogue } from '#api/schema/kind-catalogue.ts';
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { ServiceAllocators } from './services/allocators.ts';
import type { TokenAuthority } from './chain/authn/tokens.ts';
import type { AdmissionContext, AdmissionPlugin } from './chain/admission/admission.ts';
import type { InFlight } from './chain/in-flight.ts';
import type { NodeStreams } from './nodes/node-streams.ts';
import type { RequestTurns } from './serve/request-turns.ts';
import type { RequestMetrics } from './serve/metrics.ts';
import type { NodeDialer } from './nodes/node-dialer.ts';

/** What handlers work with. */
export interface ServerContext extends AdmissionContext {
  /** What is served now. */
  readonly kinds: KindCatalogue;
  /** Whether other servers may have the same store. */
  readonly isStoreShared: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly allocators: ServiceAllocators;
  readonly tokens: TokenAuthority;
  /** Who has a say in writes, in order. */
  readonly admission: readonly AdmissionPlugin[];
  /** In which requests begin, whatever way they come. */
  readonly turns: RequestTurns;
  readonly inFlight: InFlight;
  readonly metrics: RequestMetrics;
  readonly nodes: NodeDialer;
  /** exec, attach, portforward and upgraded proxies that are open. */
  readonly streams: NodeStreams;
  /** Whether what every cluster has was made. */
  readonly isBootstrapped: boolean;
  /** Aborts when the server closes: watches end. */
  readonly closing: AbortSignal;
  /** `10.88.0.1:6443`, for discovery and for the kubernetes Service. */
  readonly advertise: { readonly host: string; readonly port: number };
}
