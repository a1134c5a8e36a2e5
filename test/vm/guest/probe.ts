import { readFileSync } from 'node:fs';
console.log(JSON.stringify({ name: 'hello', up: readFileSync('/proc/uptime', 'utf8'), c: readFileSync('/sys/fs/cgroup/cgroup.controllers','utf8') }));
