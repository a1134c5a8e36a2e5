import type { Aggregation } from './aggregation/aggregation.ts';
import type { ServiceAllocators } from './services/allocators.ts';
import type { Authentication } from './chain/authn/authenticate.ts';
import type { TokenPolicy } from './chain/authn/authentication-options.ts';
import type { TokenAuthority } from './chain/authn/tokens.ts';
import type { AdmissionContext, AdmissionPlugin } from './chain/admission/admission.ts';
import type { Audit } from './chain/audit/audit.ts';
import type { Encryption } from './encryption/encryption.ts';
import type { FlowControl } from './chain/flow-control/flow-control.ts';
import type { ListTurns } from './chain/list-turns.ts';
import type { InFlight } from './chain/in-flight.ts';
import type { NodeStreams } from './nodes/node-streams.ts';
import type { PortPaths } from './paths/port-paths.ts';
import type { RequestTurns } from './serve/request-turns.ts';
import type { RequestMetrics } from './serve/metrics.ts';
import type { RecentLists } from './verbs/recent-lists.ts';
import type { NodeDialer } from './nodes/node-dialer.ts';

/** What handlers work with. */
export interface ServerContext extends AdmissionContext {
  /** Group versions that other servers answer. */
  readonly aggregation: Aggregation;
  /** Whether other servers may have the same store. */
  readonly isStoreShared: boolean;
  readonly allocators: ServiceAllocators;
  readonly authentication: Authentication;
  readonly tokens: TokenAuthority;
  readonly tokenPolicy: TokenPolicy;
  /** Who has a say in writes, in order. */
  readonly admission: readonly AdmissionPlugin[];
  /** In which requests begin, whatever way they come. */
  readonly turns: RequestTurns;
  readonly listTurns: ListTurns;
  readonly recentLists: RecentLists;
  readonly inFlight: InFlight;
  /** How values are sealed in the store; undefined: not at all. */
  readonly encryption: Pick<Encryption, 'kmsFailure' | 'hasKms'> | undefined;
  /** Where requests are recorded; undefined: nowhere. */
  readonly audit: Audit | undefined;
  /** Whose turn it is. */
  readonly flowControl: FlowControl;
  readonly metrics: RequestMetrics;
  readonly nodes: NodeDialer;
  /** exec, attach, portforward and upgraded proxies that are open. */
  readonly streams: NodeStreams;
  /** Whether what every cluster has was made. */
  readonly isBootstrapped: boolean;
  /** Of a port that answers these paths alone, instead of the API's. */
  readonly portPaths?: PortPaths | undefined;
  /** Aborts when the server closes: watches end. */
  readonly closing: AbortSignal;
  /** `10.88.0.1:6443`, for discovery and for the kubernetes Service. */
  readonly advertise: { readonly host: string; readonly port: number };
}
