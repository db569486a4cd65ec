// guest/stub as bytes: what guests of the sentry wall execute. `make guest` builds it; empty where there is none for the machine.
  .section .rodata
  .global immure_guest_stub_start
  .global immure_guest_stub_end
  .balign 16
immure_guest_stub_start:
  .incbin IMMURE_GUEST_STUB
immure_guest_stub_end:
  .section .note.GNU-stack, "", %progbits
