// guest/init as bytes: a program for inside the box, never run from here. `make guest` builds it.
  .section .rodata
  .global immure_guest_init_start
  .global immure_guest_init_end
  .balign 16
immure_guest_init_start:
  .incbin IMMURE_GUEST_INIT
immure_guest_init_end:
  .section .note.GNU-stack, "", %progbits
