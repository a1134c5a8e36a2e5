import type { TestFamily } from '#agent/proxy/packet-net.fixture.ts';
import type { ProxyMode } from '#agent/proxy/service-rules.ts';
import type { Bench } from './bench.fixture.ts';

/** What packets of real clients and servers are to find, in every mode and family. */
export interface Row {
  readonly name: string;
  /** Names of features.fixture.ts. */
  readonly shows: readonly string[];
  /** Why there is nothing of it in a mode and family; undefined: there is. */
  readonly except?: (mode: ProxyMode, family: TestFamily) => string | undefined;
  /** Whether this host has what it needs beside the kernel; absent: always. */
  readonly canRun?: () => boolean;
  /** What it says to the proxy is taken away behind it. */
  readonly run: (bench: Bench) => Promise<void>;
}
