import { describe, expect, it } from 'vitest';
import { DemandMeter, smoothDemand } from './seat-demand.ts';

describe('DemandMeter', () => {
  it('weighs by time, and begins anew when it is read', () => {
    const meter = new DemandMeter(0);
    meter.set(10, 0);
    meter.set(0, 250);
    meter.set(30, 1_000);
    expect(meter.take(1_000)).toEqual({ average: 2.5, deviation: Math.sqrt(18.75), highest: 30 });
    expect(meter.take(2_000)).toEqual({ average: 30, deviation: 0, highest: 30 });
  });

  it('says nothing of no time', () => {
    expect(new DemandMeter(5).take(5)).toBeUndefined();
  });
});

describe('smoothDemand()', () => {
  it('goes up at once and half down in five minutes', () => {
    let smoothed = smoothDemand(0, { average: 90, deviation: 10, highest: 200 });
    expect(smoothed).toBe(100);
    for (let period = 0; period < 30; period++)
      smoothed = smoothDemand(smoothed, { average: 0, deviation: 0, highest: 0 });
    expect(smoothed).toBeCloseTo(50, 0);
  });
});
