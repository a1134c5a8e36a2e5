// Made from health/health.proto by generate.ts: messages as they are received. int64 is a number, exact up to 2^53.
import type { Method } from '#proto/contract.ts';

export interface HealthCheckRequest {
  readonly service: string;
}

export interface HealthCheckResponse {
  readonly status: 'UNKNOWN' | 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';
}

export interface Services {
  readonly 'grpc.health.v1.Health': {
    readonly Check: Method<HealthCheckRequest, HealthCheckResponse>;
    readonly Watch: Method<HealthCheckRequest, HealthCheckResponse, 'response'>;
  };
}
