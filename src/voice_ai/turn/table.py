"""What a call does next, as a table: phase and event in, commands and phase out.

`machine.py` is its execution, and says why; a test compares the two, cell by cell.

Cells are commands in their order, then the phase if it changes; a dot is neither. Columns are
phases: I idle, L listening, C caller speaking, T thinking, S speaking, X closing, H held, E ended.
Whatever ends the call also cancels every timer that runs.

    G A B P  SayPhrase of a new turn: greeting, apology, goodbye, still_there
    M N    the same: voicemail, refusal
    w R    KeepCaller of the caller's turn; with R then as r
    r      StartReply and StartTimer "reply" of a new turn
    D d    StartReply of a new turn, as a draft; CancelReply of the draft
    x      CancelReply           c  ClearPlayout
    h u    HoldReply, ResumeReply
    K k    KeepHeard: complete, not complete
    t      CancelTimer of each timer that runs
    p y f  StartTimer "playout", "reply", "false_start"
    m n    StartTimer "tool", CancelTimer of it
    q j    SayFiller of our turn; of none
    s g    StartTimer "silence", "digits"
    b      StartTimer "stuck" and "monologue" of a new turn, the caller's
    v o    StartTimer "stuck", after a CancelTimer of it; CancelTimer of it
    H      HangUp

    event                   I     L       C      T        S          X          H         E
    ---------------------   ---   -----   ----   ------   --------   --------   -------   ---
    CallStarted             G S   .       .      .        .          .          .         .
    DigitPressed            .     tg C    og     xctg C   xcktg C    xcktg C    xktg C    .
    CallerTyped             .     tR T    tR T   xctR T   xcktR T    xcktR T    xktR T    .
    CallerTyped wordless    .     .       .      .        .          .          .         .
    CallerGone              E     t E     t E    xt E     xkt E      xkt E      xkt E     .
    MachineAnswered         M X   tM X    tM X   xctM X   xcktM X    .          xktM X    .
    StartOfTurn             .     tb C    .      htf H    htf H      htf H      .         .
    Update                  .     tb C    v      xctb C   xcktb C    xcktb C    xktb C    .
    Update murmur           .     tb C    v      .        .          .          .         .
    Update wordless         .     .       .      .        .          .          .         .
    EagerEndOfTurn          .     tbD C   vD     xctbD C  xcktbD C   xcktbD C   xktbD C   .
    EagerEndOfTurn murmur   .     tbD C   vD     .        .          .          .         .
    TurnResumed             .     .       .      .        .          .          .         .
    EndOfTurn               .     tR T    tR T   xctR T   xcktR T    xcktR T    xktR T    .
    EndOfTurn murmur        .     tR T    tR T   .        .          .          tu S      .
    EndOfTurn wordless      .     .       ts L   .        .          .          tu S      .
    CallerUnheard           .     j       j      .        .          .          .         .
    ReplyStarted            .     .       .      t S      .          .          .         .
    ReplySent               .     .       .      tp S     p          p          .         .
    ReplySent empty         .     .       .      tA S     ks L       kH E       .         .
    ReplyHeld               .     .       .      .        .          .          .         .
    ReplyHeld near the end  .     .       .      .        .          .          .         .
    ToolStarted             .     .       .      m        .          .          .         .
    ToolEnded               .     .       .      .        .          .          .         .
    PlayoutFinished         .     .       .      .        Kts L      KtH E      K         .
    HangUpAsked             .     Ht E    .      .        X          .          .         .
    SpeakAsked              .     tr T    .      .        .          .          .         .
    ProviderFailed stt      .     tB X    tB X   xctB X   xcktB X    .          xktB X    .
    GoodbyeAsked            .     tB X    tB X   xctB X   xcktB X    .          xktB X    .
    ProviderFailed llm      .     .       .      xctA S   .          .          .         .
    ProviderFailed refused  .     .       .      xctN S   .          .          .         .
    ProviderFailed tts      .     .       .      xctA S   .          .          .         .
    TimerFired reply        .     .       .      xctA S   .          .          .         .
    TimerFired playout      .     .       .      .        ks L       kH E       .         .
    TimerFired false_start  .     .       .      .        .          .          u S       .
    TimerFired silence      .     P S     .      .        .          .          .         .
    TimerFired stuck        .     .       ts L   .        .          .          .         .
    TimerFired monologue    .     .       ts L   .        .          .          .         .
    TimerFired digits       .     .       .      .        .          .          .         .
    TimerFired tool         .     .       .      .        .          .          .         .

What came before makes these differences, a plus sign meaning all of them; where several are true,
the first stands:

    phase  when                 event                    cell
    -----  -------------------  -----------------------  ------
    I      deaf                 CallStarted              B X
    L      after-C              HangUpAsked              .
    L      after-C              SpeakAsked               .
    L      asked-twice          TimerFired silence       B X
    C      draft                CallerGone               dwt E
    C      draft                CallerTyped              tdR T
    C      draft                EagerEndOfTurn           .
    C      draft                EagerEndOfTurn murmur    vdD
    C      draft                TurnResumed              d
    C      draft                EndOfTurn                twuy T
    C      draft                EndOfTurn murmur         tdR T
    C      draft                EndOfTurn wordless       tds L
    C      draft                ProviderFailed stt       dwtB X
    C      draft                GoodbyeAsked             dwtB X
    C      draft                MachineAnswered          dwtM X
    C      words                CallerGone               wt E
    C      words                ProviderFailed stt       wtB X
    C      words                GoodbyeAsked             wtB X
    C      words                MachineAnswered          wtM X
    C      draft                TimerFired stuck         twuy T
    C      draft                TimerFired monologue     twuy T
    C      keys                 DigitPressed             g
    C      keys                 Update                   .
    C      keys                 Update murmur            .
    C      keys                 EagerEndOfTurn           .
    C      keys                 EagerEndOfTurn murmur    .
    C      keys                 EndOfTurn                .
    C      keys                 EndOfTurn murmur         .
    C      keys                 EndOfTurn wordless       .
    C      keys                 TimerFired digits        R T
    C      keys                 TimerFired stuck         .
    C      keys                 TimerFired monologue     .
    C      owed                 EndOfTurn wordless       tr T
    C      words                TimerFired stuck         tR T
    C      words                TimerFired monologue     tR T
    T      asked                ReplyStarted             t X
    T      asked                ReplySent                tp X
    T      asked                ReplySent empty          tH E
    T      asked                ProviderFailed llm       xctB X
    T      asked                ProviderFailed tts       xctB X
    T      asked                ProviderFailed refused   xctB X
    T      asked                TimerFired reply         xctB X
    T      tool                 ToolEnded                n
    T      tool                 TimerFired tool          q
    T      waiting              DigitPressed             xcwtg C
    T      waiting              CallerTyped              xcwtR T
    T      waiting              CallerGone               xwt E
    T      waiting              MachineAnswered          xcwtM X
    T      waiting              StartOfTurn              .
    T      waiting              Update                   .
    T      waiting              EagerEndOfTurn           .
    T      waiting              EndOfTurn                .
    T      waiting              ReplySent empty          tR
    T      waiting              ProviderFailed stt       xcwtB X
    T      waiting              GoodbyeAsked             xcwtB X
    T      waiting              ProviderFailed llm       xcwtr
    T      waiting              ProviderFailed tts       xcwtr
    T      waiting              ProviderFailed refused   xcwtr
    T      waiting              TimerFired reply         xcwtr
    T      again                ProviderFailed tts       xctB X
    S      sent                 ReplySent                .
    S      sent                 ReplySent empty          .
    S      sent                 ProviderFailed llm       .
    S      sent                 ProviderFailed tts       .
    S      sent                 ProviderFailed refused   .
    S      unsent               TimerFired playout       .
    S      phrase               ProviderFailed llm       ks L
    S      phrase               ProviderFailed tts       ks L
    S      phrase               ProviderFailed refused   ks L
    S      refused              ReplySent empty          kN S
    S      refused              PlayoutFinished          ktN S
    S      refused              TimerFired playout       kN S
    S      cut                  ReplySent empty          ks L
    S      cut                  PlayoutFinished          kts L
    S      cut                  TimerFired playout       ks L
    S      broken+mute          ReplySent empty          kB X
    S      broken+mute          PlayoutFinished          ktB X
    S      broken+mute          TimerFired playout       kB X
    S      broken               ReplySent empty          kA S
    S      broken               PlayoutFinished          ktA S
    S      broken               TimerFired playout       kA S
    X      sent                 ReplySent                .
    X      sent                 ReplySent empty          .
    X      sent                 ProviderFailed llm       .
    X      sent                 ProviderFailed tts       .
    X      sent                 ProviderFailed refused   .
    X      unsent               TimerFired playout       .
    X      phrase               ProviderFailed llm       ktH E
    X      phrase               ProviderFailed tts       ktH E
    X      phrase               ProviderFailed refused   ktH E
    X      broken               PlayoutFinished          ktH E
    X      deaf                 DigitPressed             .
    X      deaf                 CallerTyped              .
    X      deaf                 StartOfTurn              .
    X      deaf                 Update                   .
    X      deaf                 EagerEndOfTurn           .
    X      deaf                 EndOfTurn                .
    H      near                 Update murmur            xktb C
    H      near                 EagerEndOfTurn murmur    xktbD C
    H      near                 EndOfTurn murmur         xktR T
    H      murmur               ReplyHeld near the end   xktb C
    H      kept+asked           EndOfTurn murmur         tH E
    H      kept+asked           EndOfTurn wordless       tH E
    H      kept+asked           TimerFired false_start   tH E
    H      kept+broken+mute     EndOfTurn murmur         tB X
    H      kept+broken+mute     EndOfTurn wordless       tB X
    H      kept+broken+mute     TimerFired false_start   tB X
    H      kept+broken          EndOfTurn murmur         tA S
    H      kept+broken          EndOfTurn wordless       tA S
    H      kept+broken          TimerFired false_start   tA S
    H      kept                 EndOfTurn murmur         ts L
    H      kept                 EndOfTurn wordless       ts L
    H      kept                 TimerFired false_start   ts L
    H      phrase+broken        EndOfTurn murmur         tks L
    H      phrase+broken        EndOfTurn wordless       tks L
    H      phrase+broken        TimerFired false_start   tks L
    H      silent+broken+asked  EndOfTurn murmur         txB X
    H      silent+broken+asked  EndOfTurn wordless       txB X
    H      silent+broken+asked  TimerFired false_start   txB X
    H      silent+broken+mute   EndOfTurn murmur         txB X
    H      silent+broken+mute   EndOfTurn wordless       txB X
    H      silent+broken+mute   TimerFired false_start   txB X
    H      silent+broken        EndOfTurn murmur         txA S
    H      silent+broken        EndOfTurn wordless       txA S
    H      silent+broken        TimerFired false_start   txA S
    H      silent               EndOfTurn murmur         tuy T
    H      silent               EndOfTurn wordless       tuy T
    H      silent               TimerFired false_start   tuy T
    H      asked                EndOfTurn murmur         tu X
    H      asked                EndOfTurn wordless       tu X
    H      asked                TimerFired false_start   tu X
    H      kept                 PlayoutFinished          .
    H      kept                 CallerGone               xt E
    H      kept                 DigitPressed             xtg C
    H      kept                 CallerTyped              xtR T
    H      kept                 Update                   xtb C
    H      kept                 EagerEndOfTurn           xtbD C
    H      kept                 EndOfTurn                xtR T
    H      kept                 ProviderFailed stt       xtB X
    H      kept                 GoodbyeAsked             xtB X
    H      kept                 MachineAnswered          xtM X
    H      silent               PlayoutFinished          .
    H      silent               CallerGone               xt E
    H      silent               DigitPressed             xtg C
    H      silent               CallerTyped              xtR T
    H      silent               Update                   xtb C
    H      silent               EagerEndOfTurn           xtbD C
    H      silent               EndOfTurn                xtR T
    H      silent               ProviderFailed stt       xtB X
    H      silent               GoodbyeAsked             xtB X
    H      silent               MachineAnswered          xtM X
    H      broken               PlayoutFinished          k

deaf: nobody is heard any more. after-C: the last turn was the caller's. asked: HangUpAsked came.
sent, unsent: ReplySent came, or not yet. phrase: the live turn is a phrase. broken, refused, cut:
it failed on its way, as a refusal, behind a sentence. tool: a tool is waited for. waiting: it is
protected, and the caller has spoken into it. silent: held before its first sound. near: held near
its end. murmur: the caller has murmured. kept: held, and heard to its end. words, keys: what the
caller's turn has so far. owed: it interrupted our thinking. draft: its reply is drafted. asked-
twice: the caller has been asked for twice. again: the voice failed in our turn before. mute: in
this one, too.
"""
