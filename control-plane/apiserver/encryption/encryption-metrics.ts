import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import type { Histogram } from 'prom-client';
import type { MetricSource } from '#control-plane/apiserver/serve/metrics.ts';
import type { KmsCounts } from './kms/kms-provider.ts';
import type { TransformerWatch } from './transformer.ts';

type Status = 'success' | 'failure';

/** 5 µs, twice as much, … 84 s. */
const transformationBuckets = Array.from({ length: 25 }, (_, power) => 5e-6 * 2 ** power);
/** 0.1 ms, twice as much, … 209 s. */
const kmsBuckets = Array.from({ length: 22 }, (_, power) => 1e-4 * 2 ** power);

/** Which server counts, without its name. */
const serverHash = `sha256:${createHash('sha256').update(`apiserver-${hostname()}`).digest('hex')}`;

/**
 * What is counted of encryption, under kube-apiserver's names (apiserver/pkg/storage/value/metrics.go, …/envelope/metrics,
 * …/encryptionconfig/metrics). Times are told once Prometheus has been loaded; what came before is in the counts alone.
 */
export class EncryptionMetrics {
  readonly kms: KmsCounts = { cacheMisses: 0, keysGenerated: 0, keysFailed: 0 };
  readonly #operations = new Map<
    string,
    { readonly labels: Readonly<Record<string, string>>; count: number }
  >();
  readonly #reloads = new Map<Status, { count: number; atMs: number }>();
  #hash = '';
  #cachedKeys: () => number = () => 0;
  #transformations: Histogram | undefined;
  #calls: Histogram | undefined;

  configured(hash: string): void {
    this.#hash = hash;
  }

  reloaded(status: Status, hash: string | undefined): void {
    if (hash !== undefined) this.#hash = hash;
    this.#reloads.set(status, { count: (this.#reloads.get(status)?.count ?? 0) + 1, atMs: Date.now() });
  }

  watchProviders(cachedKeys: () => number): void {
    this.#cachedKeys = cachedKeys;
  }

  watchOf(resource: string): TransformerWatch {
    return {
      done: (type, prefix, seconds, isGood) => {
        const status = isGood ? 'OK' : 'Unknown';
        const about = { resource, transformation_type: type, transformer_prefix: prefix };
        const id = `${resource} ${type} ${prefix} ${status}`;
        const known = this.#operations.get(id);
        if (known === undefined) this.#operations.set(id, { labels: { ...about, status }, count: 1 });
        else known.count++;
        if (isGood) this.#transformations?.observe(about, seconds);
      },
    };
  }

  kmsCalled(name: string, method: string, how: { readonly code: string; readonly seconds: number }): void {
    const labels = { provider_name: name, method_name: method, grpc_status_code: how.code };
    this.#calls?.observe(labels, how.seconds);
  }

  readonly source: MetricSource = ({ Counter, Gauge, Histogram: Times }, registers) => {
    this.#transformations = new Times({
      name: 'apiserver_storage_transformation_duration_seconds',
      help: 'Latencies in seconds of value transformation operations.',
      labelNames: ['resource', 'transformation_type', 'transformer_prefix'],
      buckets: transformationBuckets,
      registers,
    });
    this.#calls = new Times({
      name: 'apiserver_envelope_encryption_kms_operations_latency_seconds',
      help: 'KMS operation duration with gRPC error code status total.',
      labelNames: ['provider_name', 'method_name', 'grpc_status_code'],
      buckets: kmsBuckets,
      registers,
    });
    for (const { type, name, help, labelNames = [], read } of this.#countRows()) {
      const about = { name, help, labelNames: [...labelNames], registers };
      if (type === 'counter') {
        const own: InstanceType<typeof Counter> = new Counter({
          ...about,
          collect: (): void => {
            own.reset();
            for (const [labels, value] of read()) own.inc(labels, value);
          },
        });
        continue;
      }
      const own: InstanceType<typeof Gauge> = new Gauge({
        ...about,
        collect: (): void => {
          own.reset();
          for (const [labels, value] of read()) own.set(labels, value);
        },
      });
    }
  };

  #countRows(): readonly CountRow[] {
    const one =
      (value: () => number): (() => Rows) =>
      () => [[{}, value()]];
    return [
      {
        type: 'counter',
        name: 'apiserver_storage_transformation_operations_total',
        help: "Total number of transformations. Successful transformation will have a status 'OK' and a varied status string when the transformation fails.",
        labelNames: ['resource', 'transformation_type', 'transformer_prefix', 'status'],
        read: () => [...this.#operations.values()].map(({ labels, count }) => [labels, count]),
      },
      {
        type: 'counter',
        name: 'apiserver_storage_data_key_generation_failures_total',
        help: 'Total number of failed data encryption key(DEK) generation operations.',
        read: one(() => this.kms.keysFailed),
      },
      {
        type: 'counter',
        name: 'apiserver_storage_envelope_transformation_cache_misses_total',
        help: 'Total number of cache misses while accessing key decryption key(KEK).',
        read: one(() => this.kms.cacheMisses),
      },
      {
        type: 'gauge',
        name: 'apiserver_envelope_encryption_dek_source_cache_size',
        help: 'Number of records in data encryption key (DEK) source cache.',
        read: one(() => this.#cachedKeys()),
      },
      ...this.#configurationRows(),
    ];
  }

  #configurationRows(): readonly CountRow[] {
    const prefix = 'apiserver_encryption_config_controller';
    const labelNames = ['status', 'apiserver_id_hash'];
    const ofReloads = (value: (one: { count: number; atMs: number }) => number): Rows =>
      [...this.#reloads].map(([status, one]) => [{ status, apiserver_id_hash: serverHash }, value(one)]);
    return [
      {
        type: 'counter',
        name: `${prefix}_automatic_reloads_total`,
        help: 'Total number of reload successes and failures of encryption configuration split by apiserver identity.',
        labelNames,
        read: () => ofReloads(({ count }) => count),
      },
      {
        type: 'gauge',
        name: `${prefix}_automatic_reload_last_timestamp_seconds`,
        help: 'Timestamp of the last successful or failed automatic reload of encryption configuration split by apiserver identity.',
        labelNames,
        read: () => ofReloads(({ atMs }) => atMs / 1000),
      },
      {
        type: 'gauge',
        name: `${prefix}_last_config_info`,
        help: 'Information about the last applied encryption configuration with hash as label, split by apiserver identity.',
        labelNames: ['apiserver_id_hash', 'hash'],
        read: () => (this.#hash === '' ? [] : [[{ apiserver_id_hash: serverHash, hash: this.#hash }, 1]]),
      },
    ];
  }
}

interface CountRow {
  readonly type: 'counter' | 'gauge';
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly string[];
  readonly read: () => Rows;
}

type Rows = readonly (readonly [labels: Readonly<Record<string, string>>, value: number])[];
