/* What differs between processors: the system call instruction and the program's first instruction. */
#pragma once

#if defined(__x86_64__)
enum { PAGE_BYTES_MAX = 1 << 12 };
#define READ_STACK_POINTER(to) __asm__ volatile("mov %%rsp,%0" : "=r"(to))
static inline long syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	long result;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}
#define START \
	__asm__(".globl _start\n_start: xor %ebp,%ebp\n mov %rsp,%rdi\n and $-16,%rsp\n call start\n hlt\n")
#elif defined(__aarch64__)
enum { PAGE_BYTES_MAX = 1 << 16 };
#define READ_STACK_POINTER(to) __asm__ volatile("mov %0,sp" : "=r"(to))
static inline long syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;
	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}
#define START __asm__(".globl _start\n_start: mov x29,#0\n mov x0,sp\n bl start\n brk #0\n")
#else
#error "no system call stub for this processor"
#endif
