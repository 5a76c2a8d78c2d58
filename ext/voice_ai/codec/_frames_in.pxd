# What a stream's id and rate may be: the rate, 0 for None; raises UsageError and TypeError.
cdef int check_stream(str stream_sid, object rate_hz) except -1
