import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Gauge, Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { renderMetrics } from './process-metrics.ts';

describe('renderMetrics()', () => {
  it('tells of the process, and then of the registry, each once', async () => {
    const registry = new Registry();
    new Gauge({ name: 'a_server_gauge', help: 'Of this server.', registers: [registry] }).set(3);
    const { text } = await renderMetrics(registry);
    expect(text.match(/^process_cpu_user_seconds_total /gm)).toHaveLength(1);
    expect(text.match(/^nodejs_gc_duration_seconds/m)).toBeDefined();
    expect(text).not.toContain('nodejs_active_handles_total');
    expect(text).toMatch(
      /\n# HELP a_server_gauge Of this server\.\n# TYPE a_server_gauge gauge\na_server_gauge 3\n$/,
    );
  });

  it('keeps nothing of a registry that nobody asks any more', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const kept = await (async () => {
      const registry = new Registry();
      await renderMetrics(registry);
      return new WeakRef(registry);
    })();
    for (let tries = 0; tries < 50 && kept.deref() !== undefined; tries++) {
      await systemClock.sleep(1);
      collect();
    }
    expect(kept.deref()).toBeUndefined();
  });
});
