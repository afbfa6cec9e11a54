(* SPDX-License-Identifier: GPL-2.0 *)
(* What an OCaml program asks of the system: memory, exceptions, signals, domains, files, processes. Prints TAP. *)

let number = ref 0
let failed = ref false

let check name body =
  incr number;
  match body () with
  | () -> Printf.printf "ok %d - %s\n%!" !number name
  | exception problem ->
    failed := true;
    Printf.printf "not ok %d - %s\n# %s\n%!" !number name (Printexc.to_string problem)

let require what condition = if not condition then failwith what

let rec primes_from = function
  | [] -> []
  | first :: rest -> first :: primes_from (List.filter (fun n -> n mod first <> 0) rest)

let rec sum_to n = if n = 0 then 0 else n + sum_to (n - 1)
let rec endless n = 1 + endless (n + 1)

let collections () =
  let table = Hashtbl.create 16 in
  for i = 1 to 50_000 do
    Hashtbl.replace table (i mod 1000) (String.make (i mod 100) 'x')
  done;
  Gc.compact ();
  require "size" (Hashtbl.length table = 1000)

let overflow () =
  match endless 0 with
  | _ -> failwith "no overflow"
  | exception Stack_overflow -> require "still alive" (sum_to 1000 = 500500)

let signals () =
  let seen = ref 0 in
  Sys.set_signal Sys.sigusr1 (Sys.Signal_handle (fun _ -> incr seen));
  for _ = 1 to 100 do
    Unix.kill (Unix.getpid ()) Sys.sigusr1
  done;
  ignore (Unix.sleepf 0.01);
  require "signals" (!seen > 0)

let timers () =
  let ticks = ref 0 in
  Sys.set_signal Sys.sigalrm (Sys.Signal_handle (fun _ -> incr ticks));
  ignore (Unix.setitimer Unix.ITIMER_REAL { Unix.it_interval = 0.005; it_value = 0.005 });
  let until = Unix.gettimeofday () +. 10.0 in
  while !ticks < 10 && Unix.gettimeofday () < until do
    ignore (List.init 1000 (fun n -> n * n))
  done;
  ignore (Unix.setitimer Unix.ITIMER_REAL { Unix.it_interval = 0.0; it_value = 0.0 });
  require "ticks" (!ticks >= 10)

let domains () =
  let workers = List.init 4 (fun i -> Domain.spawn (fun () -> sum_to (1000 * i))) in
  let total = List.fold_left (fun total worker -> total + Domain.join worker) 0 workers in
  require "total" (total = sum_to 1000 + sum_to 2000 + sum_to 3000)

let processes () =
  let reader, writer = Unix.pipe () in
  match Unix.fork () with
  | 0 ->
    ignore (Unix.write_substring writer "from the child" 0 14);
    Unix._exit 7
  | child ->
    Unix.close writer;
    let buffer = Bytes.create 100 in
    let length = Unix.read reader buffer 0 100 in
    require "pipe" (Bytes.sub_string buffer 0 length = "from the child");
    require "status" (Unix.waitpid [] child = (child, Unix.WEXITED 7))

let files () =
  let path = Filename.temp_file "safe" ".data" in
  let output = open_out_bin path in
  for i = 0 to 99_999 do
    output_binary_int output i
  done;
  close_out output;
  let input = open_in_bin path in
  seek_in input 40_000;
  require "content" (input_binary_int input = 10_000);
  close_in input;
  Sys.remove path

let () =
  print_endline "1..8";
  check "lists" (fun () -> require "primes" (List.length (primes_from (List.init 4998 (( + ) 2))) = 669));
  check "collections of garbage" collections;
  check "stack overflow" overflow;
  check "fork and pipe" processes;
  check "signals" signals;
  check "timers" timers;
  check "files" files;
  check "domains" domains;
  exit (if !failed then 1 else 0)
